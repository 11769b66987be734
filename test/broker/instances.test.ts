import { expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { ACME, aBulk, aTransfer } from '../support/builders.js';
import { type ServerProcess, startProcess } from '../support/process.js';
import { brokerStatusOf } from '../support/readiness.js';
import { CHAOS_SEED, Random } from '../support/seeded-random.js';
import { type Subscriber, subscribe } from '../support/subscriber.js';
import { createMigratedDatabase } from '../support/test-database.js';

const TRANSFERS = `subscription ($iban: String!, $after: Cursor) {
  transferPerformed(accountIban: $iban, after: $after) { cursor transfer { description } }
}`;
const BALANCE = `subscription ($iban: String!) {
  balanceUpdated(accountIban: $iban) { sequence balance { amount } }
}`;

/** Starts servers that share a database and a broker. */
async function startInstances(count: number): Promise<ServerProcess[]> {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url, AMQP_URL, LOG_LEVEL: 'info' };
  const instances: ServerProcess[] = [];
  for (let number = 0; number < count; number += 1) instances.push(await startProcess(env));
  for (const { url } of instances) {
    await expect.poll(() => brokerStatusOf(url)).toBe('ok');
  }
  return instances;
}

async function newestCursor({ client }: ServerProcess): Promise<string> {
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { transfers(first: 1) { edges { cursor } } } }`,
  );
  return account.transfers.edges[0].cursor;
}

test('a subscriber of one instance gets at once what another instance performs', async () => {
  const [a, b] = await startInstances(2);
  if (!a || !b) throw new Error('Two instances were started');
  const balance = subscribe(a.url, BALANCE, { iban: ACME });
  await expect.poll(() => balance.events.length).toBe(1);

  await b.client.perform(aBulk([aTransfer({ amount: '1' })]));

  // The time is much shorter than the poll that makes up for a lost wake-up.
  await expect.poll(() => balance.events.length, { timeout: 4_500 }).toBe(2);
  expect(balance.events[1]).toMatchObject({ balance: { amount: '99999.00' } });
  await Promise.all([a.stop(), b.stop()]);
});

const CLIENTS = 20;
const BULKS = 300;

test('each of 20 clients that reconnect at random, to either instance, during 300 bulks gets exactly the committed sequence', async () => {
  const instances = await startInstances(2);
  const [a, b] = instances;
  if (!a || !b) throw new Error('Two instances were started');
  await a.client.perform(aBulk([aTransfer({ amount: '0.01', description: 'first' })]));
  const start = await newestCursor(a);
  let isDone = false;

  const follow = async (number: number) => {
    const random = new Random(`follower ${number}`);
    const seen: string[] = [];
    let after = start;
    for (let turn = number; seen.length < BULKS; turn += 1) {
      const subscriber: Subscriber = subscribe((instances[turn % 2] ?? a).url, TRANSFERS, {
        iban: ACME,
        after,
      });
      const left = BULKS - seen.length;
      const enough = Math.min(left, random.between(20, 169));
      await expect.poll(() => subscriber.events.length >= (isDone ? left : enough)).toBe(true);
      subscriber.drop();
      const events = [...subscriber.events];
      seen.push(...events.map(({ transfer }) => transfer.description));
      after = events.at(-1)?.cursor ?? after;
    }
    return seen;
  };
  const followers = Array.from({ length: CLIENTS }, (_, number) => follow(number));
  const perform = async (client: ServerProcess['client'], from: number) => {
    for (let bulk = from; bulk < BULKS; bulk += 4) {
      await client.perform(aBulk([aTransfer({ amount: '0.01', description: String(bulk) })]));
    }
  };
  await Promise.all([
    perform(a.client, 0),
    perform(b.client, 1),
    perform(a.client, 2),
    perform(b.client, 3),
  ]);
  isDone = true;

  const committed: string[] = [];
  let after: string | null = null;
  for (let hasNextPage = true; hasNextPage; ) {
    const data: Awaited<ReturnType<typeof a.client.data>> = await a.client.data(
      `query ($after: Cursor) { account(iban: "${ACME}") {
        transfers(first: 100, after: $after) { nodes { description } pageInfo { hasNextPage endCursor } }
      } }`,
      { after },
    );
    const { nodes, pageInfo } = data.account.transfers;
    committed.unshift(...nodes.map((node: { description: string }) => node.description).reverse());
    ({ hasNextPage, endCursor: after } = pageInfo);
  }
  expect(committed).toHaveLength(BULKS + 1);
  for (const seen of await Promise.all(followers))
    expect(seen, `seed ${CHAOS_SEED}`).toEqual(committed.slice(1));
  await Promise.all([a.stop(), b.stop()]);
}, 180_000);
