import { once } from 'node:events';
import { connect } from 'node:net';
import { createClient } from 'graphql-sse';
import { expect, onTestFinished, test } from 'vitest';
import { hasBrowser, openBrowser } from '../support/browser.js';
import { ACME, aBulk, aTransfer, transfersOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startServer } from '../support/server.js';
import { subscriptionCount } from '../support/subscriber.js';

const TRANSFERS = `subscription ($iban: String!, $after: Cursor) {
  transferPerformed(accountIban: $iban, after: $after) { cursor transfer { description } }
}`;
const BALANCE = `subscription ($iban: String!) {
  balanceUpdated(accountIban: $iban) { balance { amount } }
}`;

interface Stream {
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the test asserts
  readonly events: any[];
  readonly errors: unknown[];
  /** Disconnects, like a page that is closed. */
  leave(): void;
}

/** A front end that uses the protocol of graphql-sse. */
function stream(url: string, query: string, variables: Record<string, unknown>): Stream {
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the test asserts
  const events: any[] = [];
  const errors: unknown[] = [];
  const client = createClient({ url: `${url}/graphql/stream`, retryAttempts: 0 });
  const leave = client.subscribe(
    { query, variables },
    {
      next: ({ data, errors: found = [] }) => {
        errors.push(...found);
        if (data) events.push(Object.values(data)[0]);
      },
      error: (error) => errors.push(error),
      complete: () => {},
    },
  );
  onTestFinished(() => client.dispose());
  return { events, errors, leave };
}

async function newestCursor(client: Client): Promise<string> {
  await client.perform(aBulk([aTransfer({ description: 'first' })]));
  return newestOf(client);
}

async function newestOf(client: Client): Promise<string> {
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { transfers(first: 1) { edges { cursor } } } }`,
  );
  return account.transfers.edges[0].cursor;
}

test('server-sent events carry the same streams as a WebSocket and resume after a cursor', async () => {
  const { client, url } = await startServer();
  const after = await newestCursor(client);
  await client.perform(aBulk(transfersOf(150)));

  const balance = stream(url, BALANCE, { iban: ACME });
  const transfers = stream(url, TRANSFERS, { iban: ACME, after });
  await expect.poll(() => transfers.events.length).toBe(150);
  await client.perform(aBulk([aTransfer({ description: 'last' })]));

  await expect.poll(() => transfers.events.length).toBe(151);
  expect(transfers.events.map(({ transfer }) => transfer.description)).toEqual([
    ...Array.from({ length: 150 }, (_, index) => `Row ${index}`),
    'last',
  ]);
  await expect.poll(() => balance.events.at(-1)?.balance.amount).toBe('99848.00');
});

test('a client that leaves releases its resources', async () => {
  const { url } = await startServer();
  const streams = Array.from({ length: 20 }, () => stream(url, TRANSFERS, { iban: ACME }));
  await expect.poll(() => subscriptionCount(url)).toBe(20);

  for (const { leave } of streams) leave();

  await expect.poll(() => subscriptionCount(url)).toBe(0);
});

test('a client that reads nothing is disconnected, and nothing is buffered for it', async () => {
  const { client, url } = await startServer();
  const after = await newestCursor(client);
  const rows = transfersOf(10_000, '0.01').map((row) => ({
    ...row,
    description: '🥕'.repeat(140),
  }));
  await client.perform(aBulk(rows));
  const body = JSON.stringify({ query: TRANSFERS, variables: { iban: ACME, after } });
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => {
    socket.destroy();
  });
  socket.write(
    `POST /graphql/stream HTTP/1.1\r\nHost: ${hostname}:${port}\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  socket.pause();

  await expect.poll(() => subscriptionCount(url)).toBe(1);
  await expect.poll(() => subscriptionCount(url), { timeout: 30_000, interval: 500 }).toBe(0);
});

test('a client error has a code', async () => {
  const { client, url, log } = await startServer();
  const post = (body: unknown) =>
    fetch(`${url}/graphql/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
      body: JSON.stringify(body),
    });

  for (const body of [null, 0, [], {}, { query: 5 }]) {
    const response = await post(body);
    expect([body, response.status, await response.json()]).toMatchObject([
      body,
      400,
      { errors: [{ extensions: { code: 'BAD_REQUEST' } }] },
    ]);
  }
  const mutation = `mutation { creditAccount(input: { iban: "${ACME}", amount: "1", description: "" }) {
    __typename } }`;
  const refused = {
    'subscription {': 'GRAPHQL_PARSE_FAILED',
    'subscription { nothing }': 'GRAPHQL_VALIDATION_FAILED',
    '{ __typename }': 'BAD_REQUEST',
    [mutation]: 'BAD_REQUEST',
    'subscription { balanceUpdated(accountIban: "GB33BUKB20201555555555") { sequence } }':
      'ACCOUNT_NOT_FOUND',
  };
  for (const [query, code] of Object.entries(refused)) {
    const text = await (await post({ query })).text();
    expect([query, text]).toEqual([query, expect.stringContaining(`"code":"${code}"`)]);
    expect(text).toMatch(/^event: next\ndata: .*\n\nevent: complete\ndata:\n\n$/);
  }
  expect(await client.balance(ACME)).toBe('100000.00');
  expect(log).toEqual([]);
});

test('a browser can subscribe with EventSource, which sends no body', async () => {
  const { url } = await startServer();
  const query = new URLSearchParams({
    query: BALANCE,
    variables: JSON.stringify({ iban: ACME }),
  });
  const aborter = new AbortController();
  const response = await fetch(`${url}/graphql/stream?${query}`, { signal: aborter.signal });
  let text = '';
  const reading = (async () => {
    for await (const chunk of response.body ?? []) text += Buffer.from(chunk).toString();
  })().catch(() => {});

  await expect.poll(() => text).toContain('"amount":"100000.00"');
  aborter.abort();
  await reading;
});

test('a stopping server cuts its streams without completing them', async () => {
  const { url, http } = await startServer();
  const response = await fetch(`${url}/graphql/stream`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: BALANCE, variables: { iban: ACME } }),
  });
  const reading = response.text();

  await http.close();

  await expect(reading).rejects.toThrow();
});

test('many consecutive streams on one connection leave no listener behind', async () => {
  const { http, url } = await startServer();
  const warnings: unknown[] = [];
  const warn = (warning: unknown) => warnings.push(warning);
  process.on('warning', warn);
  onTestFinished(() => {
    process.off('warning', warn);
  });
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const query = encodeURIComponent('{ __typename }');

  for (let request = 0; request < 20; request += 1) {
    socket.write(
      `GET /graphql/stream?query=${query} HTTP/1.1\r\nHost: ${hostname}:${port}\r\n\r\n`,
    );
    let text = '';
    while (!text.endsWith('0\r\n\r\n')) text += String((await once(socket, 'data'))[0]);
  }

  socket.destroy();
  expect(warnings).toEqual([]);
  expect(http.server.listening).toBe(true);
});

const canBrowse = hasBrowser('EventSource in a browser');

test.runIf(canBrowse)(
  'an EventSource that was disconnected resumes after the last event that it received',
  async () => {
    const { client, url, http } = await startServer();
    const after = await newestCursor(client);
    const search = new URLSearchParams({
      query: `subscription ($iban: String!, $after: Cursor) {
      transferPerformed(accountIban: $iban, after: $after) { transfer { description } } }`,
      variables: JSON.stringify({ iban: ACME, after }),
    });
    const { page } = await openBrowser();
    const seen: { id: string; description: string }[] = [];
    await page.exposeFunction('see', (id: string, text: string) => {
      const { transfer } = JSON.parse(text).data.transferPerformed;
      seen.push({ id, description: transfer.description });
    });
    await page.goto(url);
    await page.evaluate(`
    new EventSource('/graphql/stream?${search}')
      .addEventListener('next', ({ lastEventId, data }) => see(lastEventId, data))`);
    const descriptions = () => seen.map(({ description }) => description);
    await client.perform(aBulk([aTransfer({ description: 'second' })]));
    await expect.poll(descriptions).toEqual(['second']);

    http.server.closeAllConnections();
    await client.perform(aBulk([aTransfer({ description: 'third' })]));
    await expect.poll(descriptions).toEqual(['second', 'third']);
    http.server.closeAllConnections();
    await client.perform(aBulk([aTransfer({ description: 'fourth' })]));

    await expect.poll(descriptions).toEqual(['second', 'third', 'fourth']);
    expect(new Set(seen.map(({ id }) => id)).size).toBe(3);
  },
);

test('a stream begins after the newer of Last-Event-ID and its own cursor', async () => {
  const { client, url } = await startServer();
  const first = await newestCursor(client);
  await client.perform(aBulk([aTransfer({ description: 'second' })]));
  const second = await newestOf(client);
  await client.perform(aBulk([aTransfer({ description: 'third' })]));

  const firstEventOf = async (after: string | null, lastEventId?: string) => {
    const response = await fetch(`${url}/graphql/stream`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(lastEventId !== undefined && { 'last-event-id': lastEventId }),
      },
      body: JSON.stringify({ query: TRANSFERS, variables: { iban: ACME, after } }),
    });
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += Buffer.from(chunk);
      if (text.includes('\n\n')) break;
    }
    return text;
  };

  expect(await firstEventOf(first)).toContain('"second"');
  expect(await firstEventOf(first, second)).toContain('"third"');
  expect(await firstEventOf(second, first)).toContain('"third"');
  expect(await firstEventOf(null, first)).toContain('"second"');
  expect(await firstEventOf(first, '')).toContain('"second"');
  expect(await firstEventOf(first, 'rubbish')).toContain('BAD_USER_INPUT');
  expect(await firstEventOf(first)).toMatch(/^event: next\nid: [\w-]+\ndata: /m);
});
