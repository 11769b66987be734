/** Reports of unexpected errors to a receiver of Sentry's protocol. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { aBulk, aTransfer } from '../support/builders.js';
import { startProcess } from '../support/process.js';
import { createMigratedDatabase } from '../support/test-database.js';

/** A report as its receiver sees it. */
interface Report {
  readonly path: string;
  // biome-ignore lint/suspicious/noExplicitAny: what comes in is what the test asserts
  readonly event: any;
}

/** Starts a receiver, which stops when the test ends. */
async function startReceiver() {
  const reports: Report[] = [];
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const lines = Buffer.concat(chunks).toString().split('\n');
    const [, header = '{}', event = '{}'] = lines;
    if (JSON.parse(header).type === 'event') {
      reports.push({ path: request.url ?? '', event: JSON.parse(event) });
    }
    response.end('{}');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { reports, dsn: `http://key@127.0.0.1:${(server.address() as AddressInfo).port}/42` };
}

const BROKEN = `create trigger broken before insert on transfer begin select raise(abort, 'broken'); end`;

/** Starts a server whose database refuses transfers. */
async function startBroken(env: NodeJS.ProcessEnv) {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const settings = { databaseUrl: database.url, databasePoolMax: 3, lockTimeoutMs: 5_000 };
  const opened = await openDatabase(settings);
  await opened.orm.em.execute(BROKEN);
  await opened.close();
  return startProcess({ DATABASE_URL: database.url, ...env });
}

const CANARY = 'Canary GmbH';

test('an unexpected error is reported with its stack and the ids of its request, and nothing that a client sent', async () => {
  const { reports, dsn } = await startReceiver();
  const server = await startBroken({ SENTRY_DSN: dsn, SENTRY_ENVIRONMENT: 'test' });
  const bulk = aBulk([aTransfer({ counterpartyName: CANARY, description: CANARY })]);
  const query = `mutation ($input: PerformBulkTransferInput!) {
    performBulkTransfer(input: $input) { __typename } }`;

  const { errors, headers } = await server.client.send(query, { input: bulk });
  expect(errors?.[0]?.extensions.code).toBe('INTERNAL_SERVER_ERROR');
  await expect.poll(() => reports.length).toBe(1);

  const [{ path, event } = { path: '', event: {} }] = reports;
  expect(path).toContain('/api/42/envelope/');
  expect(event).toMatchObject({
    level: 'error',
    message: 'Unexpected error',
    environment: 'test',
    tags: { requestId: headers.get('x-request-id') },
  });
  const [exception] = event.exception.values;
  expect(exception.stacktrace.frames.length).toBeGreaterThan(3);
  expect(JSON.stringify(reports)).not.toContain(CANARY);
  expect(JSON.stringify(reports)).not.toContain('broken');
  // The process reports nothing more when it stops.
  expect(await server.stop()).toBe(0);
  expect(reports).toHaveLength(1);
});

test('a refusal is no error to report, and a receiver that is away stops nothing', async () => {
  const { reports, dsn } = await startReceiver();
  const server = await startBroken({ SENTRY_DSN: dsn });
  const { client } = server;
  await client.perform(aBulk([aTransfer({ amount: '0' })]));
  await client.perform(aBulk([aTransfer({ amount: '999999999.99' })]));
  await client.send('{ nothing }');
  await sleep(200);
  await server.stop();
  expect(reports).toEqual([]);

  const away = await startBroken({ SENTRY_DSN: 'http://key@127.0.0.1:9/42' });
  await expect(away.client.perform(aBulk([aTransfer()]))).rejects.toThrow('INTERNAL_SERVER_ERROR');
  expect(await away.client.balance('FR10474608000002006107XXXXX')).toBeDefined();
  expect(await away.stop()).toBe(0);
});
