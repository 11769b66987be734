import { expect, test } from 'vitest';
import { ACME } from '../support/builders.js';
import { startServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

interface Asked {
  readonly query: string;
  readonly variables: Record<string, unknown>;
}

/** Subscribes over server-sent events and over a WebSocket. @returns the codes of the answers */
async function codesOf(url: string, { query, variables }: Asked): Promise<unknown[]> {
  const response = await fetch(`${url}/graphql/stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const [, data = ''] = /^event: next\ndata: (.*)$/m.exec(await response.text()) ?? [];
  const subscriber = subscribe(url, query, variables);
  await expect.poll(() => subscriber.errors.length).toBe(1);
  return [...JSON.parse(data).errors, ...subscriber.errors].map(
    ({ extensions }) => extensions.code,
  );
}

test('a variable of the wrong type is a client error, over either transport', async () => {
  const { url, log } = await startServer();
  const query = `subscription ($filter: TransferFilter) { transferPerformed(accountIban: "${ACME}") {
    transfer { account { transfers(filter: $filter) { nodes { id } } } }
  } }`;

  for (const filter of [[], { minAmount: 5 }, 'text', { nothing: true }]) {
    const codes = await codesOf(url, { query, variables: { filter } });
    expect([filter, codes]).toEqual([filter, ['BAD_USER_INPUT', 'BAD_USER_INPUT']]);
  }

  expect(log).toEqual([]);
});

test('a subscription that a directive may leave empty is refused, over either transport', async () => {
  const { url, log } = await startServer();
  const field = `balanceUpdated(accountIban: "${ACME}")`;
  const queries = [
    `subscription { ${field} @skip(if: true) { sequence } }`,
    `subscription ($is: Boolean = false) { ${field} @include(if: $is) { sequence } }`,
    `subscription { ... @include(if: false) { ${field} { sequence } } }`,
    `subscription { ...Root } fragment Root on Subscription { ${field} @skip(if: true) { sequence } }`,
  ];

  for (const query of queries) {
    const codes = await codesOf(url, { query, variables: {} });
    const refused = ['GRAPHQL_VALIDATION_FAILED', 'GRAPHQL_VALIDATION_FAILED'];
    expect([query, codes]).toEqual([query, refused]);
  }

  expect(log).toEqual([]);
});

test('a stream without events opens at once', async () => {
  const { url } = await startServer();
  const query = `subscription { transferPerformed(accountIban: "${ACME}") { cursor } }`;

  // The time is much shorter than the interval of keep-alive messages.
  const signal = AbortSignal.timeout(5_000);
  const response = await fetch(`${url}/graphql/stream?query=${encodeURIComponent(query)}`, {
    signal,
  });

  expect(response.status).toBe(200);
  await response.body?.cancel();
});
