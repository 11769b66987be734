/** Alerts and dashboards fit the metrics that the server has, and each alert is explained. */
import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { startServer } from '../support/server.js';

const file = (path: string) => new URL(`../../${path}`, import.meta.url);
const text = (path: string) => readFileSync(file(path), 'utf8');

interface AlertRule {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string };
}

const ALERTS: readonly AlertRule[] = parse(text('ops/prometheus/alerts.yml')).groups.flatMap(
  ({ rules }: { rules: AlertRule[] }) => rules,
);

interface Panel {
  readonly title: string;
  readonly description: string;
  readonly gridPos: { readonly x: number; readonly w: number };
  readonly targets: readonly { readonly expr: string }[];
}

const DASHBOARDS = readdirSync(file('ops/grafana/dashboards')).map((name) => ({
  name,
  ...(JSON.parse(text(`ops/grafana/dashboards/${name}`)) as {
    uid: string;
    title: string;
    panels: Panel[];
  }),
}));

/** Matches the names of metrics in an expression. */
const METRIC = /\b(?:virement|process|nodejs)_[a-z0-9_]+/g;

/** Returns the names of the samples that a server has, whether or not they have a value yet. */
async function namesOfServer(): Promise<ReadonlySet<string>> {
  const { url } = await startServer();
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const names = new Set<string>();
  for (const [, name = '', type] of metrics.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    names.add(type === 'counter' ? `${name}_total` : name);
    if (type !== 'histogram') continue;
    for (const suffix of ['bucket', 'sum', 'count']) names.add(`${name}_${suffix}`);
  }
  return names;
}

test('alerts and dashboards use metrics that the server has', async () => {
  const known = await namesOfServer();
  const expressions = [
    ...ALERTS.map(({ alert, expr }) => ({ place: alert, expr })),
    ...DASHBOARDS.flatMap(({ name, panels }) =>
      panels.flatMap(({ title, targets }) =>
        targets.map(({ expr }) => ({ place: `${name}: ${title}`, expr })),
      ),
    ),
  ];
  expect(expressions.length).toBeGreaterThan(40);
  const unknown = expressions.flatMap(({ place, expr }) =>
    (expr.match(METRIC) ?? [])
      .filter((metric) => !known.has(metric))
      .map((metric) => `${place}: ${metric}`),
  );
  expect(unknown).toEqual([]);
});

test('each alert has a section of the runbook, and no section is left over', () => {
  const sections = text('docs/runbook.md').split(/^## /m).slice(1);
  expect(sections.map((section) => section.split('\n', 1)[0])).toEqual(
    ALERTS.map(({ alert }) => alert),
  );
  for (const section of sections) {
    for (const part of ['**Meaning:**', '**Look at:**', '**Do:**']) expect(section).toContain(part);
  }
  for (const { labels, annotations } of ALERTS) {
    expect(['page', 'ticket']).toContain(labels.severity);
    expect(annotations.summary).not.toBe('');
  }
});

test('each panel has a description, and stands within the page', () => {
  expect(new Set(DASHBOARDS.map(({ uid }) => uid)).size).toBe(DASHBOARDS.length);
  for (const { panels } of DASHBOARDS) {
    for (const { title, description, gridPos } of panels) {
      expect(description, title).not.toBe('');
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    }
  }
});
