import type { MetricsSettings } from './metrics.js';

/**
 * The settings of the page at the root, which describes this server and shows a first call to copy. The page loads only
 * files of the server itself. Without its script, only the copy button is missing.
 */
export interface PageSettings {
  /** Tells whether introspection is allowed; the page then also describes the server's components. */
  readonly introspection: boolean;
  /** Tells whether GraphiQL is served. */
  readonly graphiql: boolean;
}

type ShownSettings = PageSettings & MetricsSettings;

export interface DemoAccount {
  readonly organizationName: string;
  readonly iban: string;
  /** The amount in EUR, with a decimal point. */
  readonly openingBalance: string;
}

/** The server's description on the page. None of it is secret. */
export interface ServerDescription {
  readonly version: string;
  /** The kind of the database: SQLite, MySQL or MariaDB. */
  readonly database: string;
  /** Demo accounts for experiments; empty if none were opened. */
  readonly demoAccounts: readonly DemoAccount[];
  /** Tells whether authentication is off, so that every client may do everything. */
  readonly isOpen: boolean;
}

/** Matches a plausible Host header. Any other value may be an attack, and is replaced. */
const HOST = /^[\w.:[\]-]{1,255}$/;

/**
 * Returns the page that a browser gets at the root.
 * @param host the Host header of the browser's request
 */
export function landingPage(settings: ShownSettings, server: ServerDescription, host = ''): string {
  const origin = `http://${HOST.test(host) ? host : '127.0.0.1:4000'}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Virement</title>
<link rel="icon" type="image/svg+xml" href="/favicon.svg">
<style>${STYLE}</style>
<script src="/landing-page.js" defer></script>
</head>
<body>
<main>
<header>
<span class="logo" aria-hidden="true">${FAVICON}</span>
<div><h1>Virement</h1>
<p>Bulk transfers over GraphQL: thousands of credit transfers in one commit, or nothing.</p></div>
</header>
${stateOf(settings, server)}
${firstCallOf(server, origin)}
${demoAccountsOf(server)}
${linksOf(settings)}
</main>
</body>
</html>
`;
}

function stateOf({ introspection }: PageSettings, server: ServerDescription): string {
  const access = server.isOpen
    ? ['open', 'Authentication is off: this machine has full access']
    : ['closed', 'Authentication is on: token or API key'];
  const parts = introspection ? [`Version ${server.version}`, server.database] : [];
  const items = parts.map((part) => `<li>${part}</li>`).join('');
  return `<ul class="state">${items}<li class="${access[0]}">${access[1]}</li></ul>`;
}

/** Returns a call to paste into a terminal, and its answer. */
function firstCallOf(server: ServerDescription, origin: string): string {
  const isBulk = server.isOpen && server.demoAccounts.length > 0;
  const title = isBulk ? 'Pay two people' : 'List your accounts';
  const body = isBulk ? bulkOf(server.demoAccounts[0]?.iban ?? '') : ACCOUNTS;
  const token = server.isOpen ? '' : ` \\\n  -H "authorization: Bearer $TOKEN"`;
  const command = `curl -s <span data-origin>${origin}</span>/graphql${token} \\
  -H 'content-type: application/json' \\
  -d '${escaped(body)}'`;
  return `<section>
<div class="title"><h2>${title}</h2><span role="status" id="copied"></span><button type="button" data-copies="call" hidden>Copy</button></div>
<pre><code id="call">${linesOf(command)}</code></pre>
<p>${aboutAnswer(server.isOpen, isBulk)}</p>
<pre><code id="answer">${linesOf(escaped(isBulk ? BULK_ANSWER : ACCOUNTS_ANSWER))}</code></pre>
</section>`;
}

function aboutAnswer(isOpen: boolean, isBulk: boolean): string {
  if (isBulk) {
    return 'This is the first answer, formatted. If you send the call again, the answer has <code>"replayed":true</code>, and nothing is debited twice.';
  }
  const token = isOpen ? '' : '<code>$TOKEN</code> is a token or an API key. ';
  return `${token}The answer, formatted:`;
}

/** Puts each line into an element of its own. A line that is too long for the window continues with an indent. */
function linesOf(html: string): string {
  const lines = html.split(/(?<=\n)/);
  return lines.map((line) => `<span class="line">${line}</span>`).join('');
}

/** Returns the request of a bulk. Its fixed idempotency key makes every repetition the same bulk. */
const bulkOf = (iban: string) => `{
  "query": "mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) { __typename ... on BulkTransferPerformed { replayed bulkTransfer { transferCount totalAmount { amount } balanceAfter { amount } } } ... on UserError { message } } }",
  "variables": { "input": {
    "idempotencyKey": "first-page-1",
    "organizationIban": "${iban}",
    "creditTransfers": [
      { "amount": "14.5", "description": "Invoice 4410",
        "counterpartyName": "Zoë Müller", "counterpartyIban": "DE89370400440532013000" },
      { "amount": "999", "description": "Licences",
        "counterpartyName": "Ørsted A/S", "counterpartyIban": "NL91ABNA0417164300" }
    ] } } }`;

const BULK_ANSWER = `{ "data": { "performBulkTransfer": {
  "__typename": "BulkTransferPerformed",
  "replayed": false,
  "bulkTransfer": {
    "transferCount": 2,
    "totalAmount": { "amount": "1013.50" },
    "balanceAfter": { "amount": "98986.50" } } } }, … }`;

const ACCOUNTS = `{
  "query": "{ accounts(first: 3) { nodes { organizationName iban balance { amount } } } }"
}`;

const ACCOUNTS_ANSWER = `{ "data": { "accounts": { "nodes": [
  { "organizationName": "…", "iban": "…", "balance": { "amount": "…" } },
  … ] } }, … }`;

function demoAccountsOf({ demoAccounts }: ServerDescription): string {
  if (demoAccounts.length === 0) return '';
  const rows = demoAccounts.map(
    ({ organizationName, iban, openingBalance }) =>
      `<tr><td>${organizationName}</td><td class="iban"><code>${iban}</code></td><td class="amount">${AMOUNT.format(Number(openingBalance))}</td></tr>`,
  );
  return `<section>
<h2>Demo accounts</h2>
<table>
<thead><tr><th scope="col">Company</th><th scope="col" class="iban">IBAN</th><th scope="col" class="amount">Opening balance, EUR</th></tr></thead>
<tbody>${rows.join('')}</tbody>
</table>
</section>`;
}

const AMOUNT = new Intl.NumberFormat('en', { minimumFractionDigits: 2 });

function linksOf({ introspection, graphiql, metricsPort }: ShownSettings): string {
  const link = (path: string, text: string) =>
    `<li><a href="${path}">${path}</a><span>${text}</span></li>`;
  return `<section>
<h2>Addresses</h2>
<ul class="links">
${graphiql ? link('/graphiql/', 'try it in the browser, with examples') : ''}
${graphiql ? link('/graphql', 'the API: POST, WebSocket, and /graphql/stream') : '<li><code>/graphql</code><span>the API: POST, WebSocket, and /graphql/stream</span></li>'}
${introspection ? link('/schema.graphql', 'the schema') : ''}
${link('/livez', 'answers 200 while the server runs')}
${link('/readyz', 'answers 200 while the server can perform bulks')}
${metricsPort === undefined ? link('/metrics', 'metrics for Prometheus') : ''}
</ul>
</section>`;
}

const escaped = (text: string) =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll("'", '&#39;');

/** The image of web/favicon.svg. */
export const FAVICON = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">
  <title>Virement</title>
  <rect width="32" height="32" rx="7" fill="#d60590" />
  <path d="M8 16L24 7.5M8 16H24M8 16L24 24.5" stroke="#fff" stroke-width="2" />
  <g fill="#fff">
    <circle cx="8" cy="16" r="4" />
    <circle cx="24" cy="7.5" r="3" />
    <circle cx="24" cy="16" r="3" />
    <circle cx="24" cy="24.5" r="3" />
  </g>
</svg>
`;

/**
 * The script of the page. It shows the address that the browser uses, which a proxy may change, and adds the copy
 * button.
 */
export const LANDING_SCRIPT = `for (const each of document.querySelectorAll('[data-origin]')) {
  each.textContent = location.origin;
}
for (const button of document.querySelectorAll('[data-copies]')) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    const status = document.getElementById('copied');
    status.textContent = 'Copied';
    setTimeout(() => { status.textContent = ''; }, 2000);
  });
}
`;

const STYLE = `
:root { color-scheme: light dark; --text: light-dark(#1c1c22, #ececf1); --soft: light-dark(#5c5c68, #a6a6b3);
  --line: light-dark(#e2e2ea, #33333d); --page: light-dark(#fff, #16161a); --field: light-dark(#f6f6f9, #1f1f26);
  --accent: light-dark(#b0047a, #ff6cc4); --good: light-dark(#0a7a3d, #5fd98f); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 52rem; margin: 0 auto; padding: clamp(1.5rem, 6vw, 4rem) clamp(1rem, 4vw, 2rem); }
header { display: flex; gap: 1rem; align-items: center; }
.logo { flex: none; width: 3.25rem; height: 3.25rem; }
h1 { margin: 0; font-size: 1.9rem; line-height: 1.2; letter-spacing: -0.02em; }
header p { margin: 0.15rem 0 0; color: var(--soft); }
h2 { margin: 0; font-size: 1.1rem; }
section { margin-top: 2.25rem; }
section p { margin: 0.75rem 0; color: var(--soft); }
.title { display: flex; align-items: center; gap: 0.75rem; min-height: 2.2rem; }
.title h2 { flex: 1; }
.title span { color: var(--good); font-size: 0.875rem; }
.state { display: flex; flex-wrap: wrap; gap: 0.5rem; margin: 1.5rem 0 0; padding: 0; list-style: none; font-size: 0.875rem; }
.state li { padding: 0.15rem 0.7rem; border: 1px solid var(--line); border-radius: 1rem; color: var(--soft); }
.state .open, .state .closed { color: var(--text); }
.state .open::before, .state .closed::before { content: '● ' / ''; color: var(--good); }
.state .open::before { color: var(--accent); }
pre { margin: 0.5rem 0 0; padding: 0.9rem 1rem; background: var(--field); border: 1px solid var(--line); border-radius: 0.6rem; }
code { font: 0.84rem/1.6 ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; }
pre code { white-space: pre-wrap; overflow-wrap: anywhere; }
.line { display: block; padding-left: 6ch; text-indent: -6ch; }
button { padding: 0.3rem 0.9rem; border: 1px solid var(--line); border-radius: 0.5rem; background: var(--field); color: var(--text); font: inherit; font-size: 0.875rem; cursor: pointer; }
button:hover { border-color: var(--accent); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
table { width: 100%; margin-top: 0.5rem; border-collapse: collapse; white-space: nowrap; }
th, td { padding: 0.5rem 1rem 0.5rem 0; border-bottom: 1px solid var(--line); text-align: left; }
th { color: var(--soft); font-size: 0.875rem; font-weight: 500; }
.amount { padding-right: 0; text-align: right; font-variant-numeric: tabular-nums; }
.links { margin: 0.5rem 0 0; padding: 0; list-style: none; }
.links li { display: flex; flex-wrap: wrap; column-gap: 1rem; padding: 0.45rem 0; border-bottom: 1px solid var(--line); }
.links a, .links code { flex: 0 0 10rem; }
.links span { flex: 1 1 13rem; color: var(--soft); }
a { color: var(--accent); text-decoration: none; }
a:hover { text-decoration: underline; }
@media (max-width: 36rem) {
  .line { padding-left: 4ch; text-indent: -4ch; }
  tr { display: grid; grid-template-columns: 1fr auto; padding: 0.4rem 0; border-bottom: 1px solid var(--line); }
  th, td { padding: 0.1rem 0; border: 0; }
  .iban { grid-area: 2 / 1 / 2 / -1; }
}
`;
