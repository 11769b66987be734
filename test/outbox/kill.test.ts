import { expect, onTestFinished, test } from 'vitest';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { runScript, startProcess } from '../support/process.js';
import { subscribe } from '../support/subscriber.js';
import { createMigratedDatabase } from '../support/test-database.js';

const KILLS = 3;
const CLIENTS = 4;

/** Sends bulks one after the other until the server ends. Every request has a key. */
async function streamBulks(client: Client, name: string, acknowledged: Set<string>) {
  for (let number = 0; ; number += 1) {
    const idempotencyKey = `${name}-${number}`;
    const rows = [
      ...transfersOf(49, '0.01'),
      aTransfer({ amount: '0.01', counterpartyIban: GLOBEX }),
    ];
    try {
      const result = await client.perform(aBulk(rows, { idempotencyKey }));
      if (result.__typename === 'BulkTransferPerformed') acknowledged.add(idempotencyKey);
    } catch {
      return;
    }
  }
}

test('kill -9 during a series of bulks leaves each with all rows or none, and loses no acknowledged one', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url };
  const acknowledged = new Set<string>();

  for (let round = 0; round < KILLS; round += 1) {
    const server = await startProcess(env);
    const known = acknowledged.size;
    const streams = Array.from({ length: CLIENTS }, (_, number) =>
      streamBulks(server.client, `${round}-${number}`, acknowledged),
    );
    await expect.poll(() => acknowledged.size).toBeGreaterThan(known + 10);
    await server.kill();
    await Promise.all(streams);
    expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
  }

  const server = await startProcess(env);
  const lost: string[] = [];
  for (const idempotencyKey of acknowledged) {
    const { bulkTransferByIdempotencyKey: bulk } = await server.client.data(
      `query ($iban: String!, $key: String!) {
        bulkTransferByIdempotencyKey(accountIban: $iban, idempotencyKey: $key) { transferCount }
      }`,
      { iban: ACME, key: idempotencyKey },
    );
    if (bulk?.transferCount !== 50) lost.push(idempotencyKey);
  }
  expect(acknowledged.size).toBeGreaterThan(KILLS * 10);
  expect(lost).toEqual([]);
  await server.stop();
});

test('kill -9 while a client follows lets it resume elsewhere with exactly the committed transfers', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const seen: string[] = [];
  let after: string | undefined;

  for (let round = 0; round < 2; round += 1) {
    const server = await startProcess({ DATABASE_URL: database.url });
    after ??= await firstCursor(server.client);
    const follower = subscribe(server.url, FOLLOW, { iban: ACME, after });
    const load = Array.from({ length: CLIENTS }, (_, number) =>
      streamBulks(server.client, `${round}-${number}`, new Set()),
    );
    await expect.poll(() => follower.events.length).toBeGreaterThan(300);
    await server.kill();
    await Promise.all(load);
    await expect.poll(() => follower.closeCodes).toHaveLength(1);
    seen.push(...follower.events.map(({ transfer }) => transfer.id));
    after = follower.events.at(-1)?.cursor;
  }

  const server = await startProcess({ DATABASE_URL: database.url });
  const last = subscribe(server.url, FOLLOW, { iban: ACME, after });
  // The new server does not wait for the messages that the killed one had claimed: they are due again.
  const due = async () => (await server.client.data('{ outbox { due } }')).outbox.due;
  await expect.poll(due).toBe(0);
  const { account } = await server.client.data(`{ account(iban: "${ACME}") { sequence } }`);
  const committed = (Number(account.sequence) - 2) * 50;
  await expect.poll(() => seen.length + last.events.length).toBe(committed);
  seen.push(...last.events.map(({ transfer }) => transfer.id));
  expect(new Set(seen).size).toBe(committed);
  await server.stop();
}, 180_000);

const FOLLOW = `subscription ($iban: String!, $after: Cursor) {
  transferPerformed(accountIban: $iban, after: $after) { cursor transfer { id } }
}`;

/** Returns a cursor before everything that is performed from now on. */
async function firstCursor(client: Client): Promise<string> {
  await client.perform(aBulk([aTransfer({ amount: '0.01' })]));
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { transfers(first: 1) { edges { cursor } } } }`,
  );
  return account.transfers.edges[0].cursor;
}

test('SIGTERM lets the requests in progress finish, and the exit code is 0', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const server = await startProcess({ DATABASE_URL: database.url });
  const { client } = server;
  await client.balance(ACME);

  const underWay = client.perform(aBulk(transfersOf(5_000, '0.01')));
  // The request is in progress once a later request is answered.
  await client.data('{ __typename }');
  const [result, code] = await Promise.all([underWay, server.stop()]);

  expect(result).toMatchObject({ __typename: 'BulkTransferPerformed' });
  expect(code).toBe(0);
});
