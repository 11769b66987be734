/** Orders of servers that are killed while they perform them, and of several servers. */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { ACME, transfersOf } from '../support/builders.js';
import { anOrder, submitOrder, untilOrderIs } from '../support/orders.js';
import { runScript, startProcess } from '../support/process.js';
import { Random } from '../support/seeded-random.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

const KILLS = 3;
const ROWS = 3_000;

/** The time within which a kill is likely to hit an order of ROWS rows. */
const PERFORMING_MS = 400;

test('kill -9 while an order is performed leaves all of its bulk or none, and a later server performs it once', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url };
  const random = new Random('orders');
  const submitted: string[] = [];

  for (let round = 0; round < KILLS; round += 1) {
    const server = await startProcess(env);
    const { id } = await anOrder(server.client, transfersOf(ROWS, '0.01'));
    await submitOrder(server.client, id);
    submitted.push(id);
    await sleep(random.below(PERFORMING_MS));
    await server.kill();
  }
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });

  const server = await startProcess(env);
  for (const id of submitted) {
    expect(await untilOrderIs(server.client, id, 'PERFORMED')).toMatchObject({
      bulkTransfers: [{ idempotencyKey: id, transferCount: ROWS }],
    });
  }
  expect(await server.client.balance(ACME)).toBe((100_000 - (KILLS * ROWS) / 100).toFixed(2));
  expect(await server.stop()).toBe(0);
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
});

test.runIf(DIALECT === 'mysql')(
  'two servers share the orders, and one performs those of the other when it dies',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const env = { DATABASE_URL: database.url };
    const killed = await startProcess(env);
    const other = await startProcess(env);
    const ids: string[] = [];
    for (let number = 0; number < 6; number += 1) {
      ids.push((await anOrder(killed.client, transfersOf(ROWS, '0.01'))).id);
    }

    for (const id of ids) await submitOrder(killed.client, id);
    await killed.kill();

    for (const id of ids) {
      expect(await untilOrderIs(other.client, id, 'PERFORMED')).toMatchObject({
        bulkTransfers: [{ idempotencyKey: id, transferCount: ROWS }],
      });
    }
    expect(await other.client.balance(ACME)).toBe('99820.00');
    expect(await other.stop()).toBe(0);
    expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
  },
);
