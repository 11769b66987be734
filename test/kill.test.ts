import { expect, onTestFinished, test } from 'vitest';
import { ACME, aBulk, aTransfer, GLOBEX, transfersOf } from './setup/builders.js';
import type { Client } from './setup/client.js';
import { runScript, startProcess } from './setup/process.js';
import { createMigratedDatabase } from './setup/test-database.js';

const KILLS = 4;
const CLIENTS = 4;

/** Sends bulks one after the other until the server is gone. Every request has a key. */
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

test('kill -9 in a stream of bulks: each has all rows or none, and none that was acknowledged is lost', async () => {
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
    await expect.poll(() => acknowledged.size, { timeout: 30_000 }).toBeGreaterThan(known + 10);
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

test('SIGTERM lets the requests under way finish, and exits with 0', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const server = await startProcess({ DATABASE_URL: database.url });
  const { client } = server;
  await client.balance(ACME);

  const underWay = client.perform(aBulk(transfersOf(5_000, '0.01')));
  // It is under way once another request that came after it is answered.
  await client.data('{ __typename }');
  const [result, code] = await Promise.all([underWay, server.stop()]);

  expect(result).toMatchObject({ __typename: 'BulkTransferPerformed' });
  expect(code).toBe(0);
});
