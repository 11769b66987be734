/** The metrics of bulk transfers. */
import { expect, test } from 'vitest';
import { PHASES } from '../../src/application/ports/phases.js';
import { aBulk, aTransfer, transfersOf } from '../support/builders.js';
import { startServer, type TestServer } from '../support/server.js';

/** Returns the lines of the metrics of bulk transfers, with their values. */
async function metricsOf({ url }: TestServer): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text
    .split('\n')
    .filter((line) => /^virement_(bulk|transfer|group|lock)/.test(line));
  return new Map(
    lines.map((line) => {
      const at = line.lastIndexOf(' ');
      return [line.slice(0, at), Number(line.slice(at + 1))];
    }),
  );
}

test('bulks are counted by outcome, transfers and amounts by currency', async () => {
  const server = await startServer();
  const { client } = server;
  const bulk = aBulk([aTransfer({ amount: '1.50' }), aTransfer({ amount: '2.25' })]);

  await client.perform({ ...bulk, idempotencyKey: 'once' });
  await client.perform({ ...bulk, idempotencyKey: 'once' });
  await client.perform(aBulk([aTransfer({ amount: '999999999.99' })]));
  await client.perform(aBulk([aTransfer({ amount: '0' })]));
  await client.perform(aBulk([aTransfer()], { organizationIban: 'DE00' }));

  const metrics = await metricsOf(server);
  const outcomes = [...metrics].filter(([name]) =>
    name.startsWith('virement_bulk_transfers_total'),
  );
  expect(Object.fromEntries(outcomes)).toEqual({
    'virement_bulk_transfers_total{outcome="PERFORMED"}': 1,
    'virement_bulk_transfers_total{outcome="REPLAYED"}': 1,
    'virement_bulk_transfers_total{outcome="INSUFFICIENT_FUNDS"}': 1,
    'virement_bulk_transfers_total{outcome="INVALID_BULK_TRANSFER"}': 1,
    'virement_bulk_transfers_total{outcome="ACCOUNT_NOT_FOUND"}': 1,
  });
  expect(metrics.get('virement_transfers_total')).toBe(2);
  expect(metrics.get('virement_transferred_amount_total{currency="EUR"}')).toBe(3.75);
});

test('each phase of a bulk is measured, and the size of its group', async () => {
  const server = await startServer();
  const before = await metricsOf(server);
  const rise = async (name: string) => {
    const after = await metricsOf(server);
    return (after.get(name) ?? 0) - (before.get(name) ?? 0);
  };

  await Promise.all(Array.from({ length: 10 }, () => server.client.perform(aBulk(transfersOf(2)))));

  for (const phase of PHASES) {
    const count = await rise(
      `virement_bulk_transfer_phase_duration_seconds_count{phase="${phase}"}`,
    );
    expect(count, phase).toBeGreaterThan(0);
  }
  expect(await rise('virement_group_commit_members_sum')).toBe(10);
  // On a slow machine each request may find an empty line.
  expect(await rise('virement_group_commit_members_count')).toBeGreaterThan(0);
});

test('what clients send makes no metrics of its own', async () => {
  const server = await startServer();
  await server.client.perform(aBulk([aTransfer()]));
  await server.client.perform(aBulk([aTransfer({ amount: '0' })]));
  const { size } = await metricsOf(server);

  for (let n = 0; n < 20; n += 1) {
    await server.client.perform(aBulk([aTransfer({ counterpartyName: `Name ${n}` })]));
    await server.client.perform(aBulk([aTransfer({ amount: '0', description: `Text ${n}` })]));
    await server.client.send(`mutation Operation${n} { performBulkTransfer { __typename } }`);
  }

  expect((await metricsOf(server)).size).toBe(size);
});
