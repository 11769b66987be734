/** Tests the git hook of `npm run setup` with git itself. */
import { execFile, spawnSync } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { GIT_ENVIRONMENT } from '../support/git-environment.js';

const HOOK = '.githooks/commit-msg';

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-hook-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function check(message: string) {
  const path = join(await temporaryFolder(), 'message');
  await writeFile(path, message);
  const { status, stderr } = spawnSync('sh', [HOOK, path], { encoding: 'utf8' });
  return { status, stderr };
}

describe('the hook', () => {
  test.each([
    'fix: publish events in order',
    'fix(relay): publish events in order',
    'feat(http)!: refuse what has no type',
    'docs: say why\n\nA body may have lines that are much longer than a subject: nobody lists them anywhere.',
    '# A comment of git.\n\nci: run it on Node 26\n',
    `test: ${'a'.repeat(66)}`,
    `test: ${'é'.repeat(66)}`,
    "Merge branch 'limits' into main, with a subject that git wrote and that is long",
    'Revert "fix: publish events in order"',
    'fixup! fix: publish events in order',
  ])('accepts %j', async (message) => {
    expect(await check(message)).toEqual({ status: 0, stderr: '' });
  });

  test.each([
    ['', 'is not like'],
    ['publish events in order', 'is not like'],
    ['Fix: publish events in order', 'is not like'],
    ['fix publish events in order', 'is not like'],
    ['fix:publish events in order', 'is not like'],
    ['fix: ', 'is not like'],
    ['fix(): publish events in order', 'is not like'],
    ['improvement: publish events in order', 'is not like'],
    ['publish events\n\nfix: in the body', 'is not like'],
    [`test: ${'a'.repeat(67)}`, '73 characters, 72 at most'],
    [`test: ${'é'.repeat(67)}`, '73 characters, 72 at most'],
  ])('refuses %j', async (message, reason) => {
    const { status, stderr } = await check(message);

    expect(status).toBe(1);
    expect(stderr).toContain(reason);
  });
});

test('npm run setup makes git run the hook', async () => {
  const repository = await temporaryFolder();
  const { scripts } = JSON.parse(await readFile('package.json', 'utf8'));
  const run = async (file: string, ...args: string[]) => {
    const options = { cwd: repository, env: GIT_ENVIRONMENT };
    return (await promisify(execFile)(file, args, options)).stdout;
  };
  const commit = (subject: string) =>
    run(
      'git',
      ...['-c', 'user.name=Test', '-c', 'user.email=test@example.com'],
      ...['commit', '--quiet', '--allow-empty', '--message', subject],
    );
  await run('git', 'init', '--quiet');
  await cp('.githooks', join(repository, '.githooks'), { recursive: true });
  await run('sh', '-c', scripts.setup);

  await expect(commit('publish events in order')).rejects.toThrow('See "Commits"');
  await commit('fix: publish events in order');
  expect(await run('git', 'log', '--format=%s')).toBe('fix: publish events in order\n');
});
