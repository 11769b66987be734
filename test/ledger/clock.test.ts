import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { ACME, aBulk, aTransfer } from '../support/builders.js';
import { type Client, PERFORM } from '../support/client.js';
import { readinessOf } from '../support/readiness.js';
import { startServer, startServerOn, type TestServer } from '../support/server.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

const YEARS_MS = 5 * 366 * 86_400_000;

/** Exceeds the interval of the server's clock checks, also on a slow machine. */
const LOOKED_AT = { timeout: 60_000 };

const realNow = Date.now;

afterEach(() => vi.restoreAllMocks());

/** Sets this process's wall clock ahead, or back, as an operator or a time server would. */
function setClock(aheadMs: number): void {
  vi.spyOn(Date, 'now').mockImplementation(() => realNow() + aheadMs);
}

async function sendBulk(client: Client) {
  return client.send(PERFORM, { input: aBulk([aTransfer()]) });
}

/** Returns the time of the newest transfer, in milliseconds from now. */
async function newestAfterNowMs(client: Client): Promise<number> {
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { transfers(first: 1) { nodes { createdAt } } } }`,
  );
  return Date.parse(account.transfers.nodes[0].createdAt) - realNow();
}

async function readiness({ url }: TestServer) {
  const { code, parts } = await readinessOf(url);
  return { code, ...parts.database };
}

test('a clock that jumps while a server runs does not affect the time of entries', async () => {
  const { client } = await startServer();

  setClock(YEARS_MS);
  await sendBulk(client);
  setClock(0);
  await sendBulk(client);

  expect(await newestAfterNowMs(client)).toBeLessThan(60_000);
});

/** Returns the time at the start of an id (RFC 9562, UUIDv7), in milliseconds from now. */
function idAfterNowMs(id: string): number {
  return Number.parseInt(id.replaceAll('-', '').slice(0, 12), 16) - realNow();
}

const UNKNOWN_ID = '01900000-0000-7000-8000-000000000000';

const CREATE_KEY = `mutation { createApiKey(input: { name: "A", organizationIds: [], roles: [OPERATOR] }) {
  ... on ApiKeyCreated { apiKey { prefix createdAt } } } }`;

test('a clock that jumps does not affect the order of ids, API keys and audit entries', async () => {
  const { client } = await startServer();

  setClock(YEARS_MS);
  const during = (await client.data(CREATE_KEY)).createApiKey.apiKey;
  await sendBulk(client);
  await client.data(`mutation { retryOutboxMessage(id: "${UNKNOWN_ID}") }`);
  await client.data(`mutation { revokeApiKey(prefix: "${during.prefix}") { prefix } }`);
  setClock(0);
  await client.data(CREATE_KEY);

  const { auditLog, apiKeys } = await client.data(`{
    auditLog(first: 10) { nodes { id at action } }
    apiKeys { nodes { createdAt revokedAt } } }`);
  expect(auditLog.nodes.map(({ action }: { action: string }) => action).slice(0, 5)).toEqual([
    'createApiKey',
    'revokeApiKey',
    'retryOutboxMessage',
    'performBulkTransfer',
    'createApiKey',
  ]);
  const dates = [
    ...auditLog.nodes.map(({ at }: { at: string }) => at),
    ...apiKeys.nodes.flatMap((key: { createdAt: string; revokedAt: string | null }) => [
      key.createdAt,
      key.revokedAt ?? key.createdAt,
    ]),
  ];
  for (const date of dates) expect(Date.parse(date) - realNow()).toBeLessThan(60_000);
  for (const { id } of auditLog.nodes) expect(idAfterNowMs(id)).toBeLessThan(60_000);
});

describe.runIf(DIALECT === 'mysql')('a clock that differs from the database’s', () => {
  test('refuses bulks with a retryable code, and /readyz reports it', async () => {
    const server = await startServer();

    setClock(YEARS_MS);

    await expect
      .poll(() => sendBulk(server.client), LOOKED_AT)
      .toMatchObject({
        status: 503,
        errors: [{ message: expect.stringMatching(/clock/), extensions: { code: 'UNAVAILABLE' } }],
      });
    expect(await readiness(server)).toMatchObject({
      code: 503,
      status: 'unavailable',
      reasons: ['CLOCK_SKEW'],
    });
    expect(server.log.map(({ msg }) => msg)).toEqual(["Clock differs from the database's"]);
    expect(await server.client.balance(ACME)).toBeTypeOf('string');
  });

  test('lets bulks pass again once it is right, without a restart', async () => {
    const server = await startServer();
    setClock(-YEARS_MS);
    await expect.poll(async () => (await sendBulk(server.client)).status, LOOKED_AT).toBe(503);

    setClock(0);

    await expect.poll(async () => (await sendBulk(server.client)).status, LOOKED_AT).toBe(200);
    expect(await readiness(server)).toEqual({ code: 200, status: 'ok' });
    expect(Math.abs(await newestAfterNowMs(server.client))).toBeLessThan(60_000);
  });

  test('refuses bulks from the first one on if it is wrong at the start', async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    setClock(YEARS_MS);
    const server = await startServerOn(database, { SEED_DEMO: 'false' });
    onTestFinished(() => server.close());

    expect(await readiness(server)).toMatchObject({ code: 503, reasons: ['CLOCK_SKEW'] });
    const open = `mutation { openAccount(input: { organizationName: "A", bic: "ABNANL2A",
      iban: "DE75512108001245126199" }) { __typename } }`;
    expect(await server.client.send(open)).toMatchObject({ status: 503 });
    // API keys and the audit log are written even now, with the time of the database's clock.
    const { createApiKey } = await server.client.data(CREATE_KEY);
    expect(Math.abs(Date.parse(createApiKey.apiKey.createdAt) - realNow())).toBeLessThan(60_000);
    const { auditLog } = await server.client.data('{ auditLog(first: 1) { nodes { id } } }');
    expect(Math.abs(idAfterNowMs(auditLog.nodes[0].id))).toBeLessThan(60_000);
  });

  test('may differ by up to CLOCK_SKEW_MS_MAX', async () => {
    const server = await startServer({ CLOCK_SKEW_MS_MAX: '3600000' });

    setClock(1_800_000);

    expect(await readiness(server)).toMatchObject({ code: 200 });
    expect(await sendBulk(server.client)).toMatchObject({ status: 200 });
  });
});

describe.runIf(DIALECT === 'sqlite')('the clock of an embedded database', () => {
  test('is logged when it jumps, and bulks continue', async () => {
    const server = await startServer();

    setClock(YEARS_MS);

    const messages = () => server.log.map(({ msg }) => msg);
    await expect.poll(messages, LOOKED_AT).toEqual(['Clock jumped']);
    expect(await sendBulk(server.client)).toMatchObject({ status: 200 });
    expect(await readiness(server)).toMatchObject({ code: 200 });
    expect(await newestAfterNowMs(server.client)).toBeLessThan(60_000);
  });

  test('is logged if it is behind the last entry at the start', async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const first = await startServerOn(database);
    await first.client.perform(aBulk([aTransfer()]));
    await first.close();

    setClock(-YEARS_MS);
    const second = await startServerOn(database);
    onTestFinished(() => second.close());

    expect(second.startLog.map(({ msg }) => msg)).toContain('Clock behind the last ledger entry');
  });
});
