import type { MetricsSettings } from './metrics.js';

export interface PageSettings {
  /** Whether the schema may be looked at. */
  readonly introspection: boolean;
  /** Whether GraphiQL is served. */
  readonly graphiql: boolean;
}

/** What a browser finds at the root. */
export function landingPage({
  introspection,
  graphiql,
  metricsPort,
}: PageSettings & MetricsSettings): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Virement</title>
<style>
  :root { color-scheme: light dark; font: 16px/1.6 system-ui, sans-serif; }
  body { max-width: 42rem; margin: 12vh auto; padding: 0 1.5rem; }
  h1 { margin: 0; font-size: 2rem; letter-spacing: -0.02em; }
  li { margin: 0.4rem 0; }
  code { font-size: 0.95em; }
</style>
</head>
<body>
<h1>Virement</h1>
<p>Bulk transfers over GraphQL: thousands of credit transfers in one commit, or nothing.</p>
<ul>
${graphiql ? GRAPHIQL : ''}<li><code>POST ${graphiql ? API_LINK : '/graphql'}</code>: the API</li>
${introspection ? SCHEMA : ''}<li><a href="/livez">/livez</a>: whether it is up; <a href="/readyz">/readyz</a>: whether it can take bulks${metricsPort === undefined ? METRICS : ''}</li>
</ul>
</body>
</html>
`;
}

const METRICS = '; <a href="/metrics">/metrics</a>';
const GRAPHIQL = '<li><a href="/graphiql/">GraphiQL</a>: try it, with examples</li>\n';
const API_LINK = '<a href="/graphql">/graphql</a>';
const SCHEMA = '<li><a href="/schema.graphql">/schema.graphql</a>: the schema</li>\n';
