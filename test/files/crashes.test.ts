/**
 * Servers that are killed while they read files and perform their orders. CHAOS_KILLS and CHAOS_ROWS make a long run of
 * it: the number of files from the upload to the last transfer, each with a kill, and the rows of each.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { ACME } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { csvOf } from '../support/imports.js';
import { submitOrder, untilOrderIs } from '../support/orders.js';
import { runScript, type ServerProcess, startProcess } from '../support/process.js';
import { Random } from '../support/seeded-random.js';
import { type Subscriber, subscribe } from '../support/subscriber.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';
import { importOnce, Upload } from '../support/uploads.js';

const ROWS = Number(process.env.CHAOS_ROWS || 15_000);
const KILLS = Number(process.env.CHAOS_KILLS || 1);
const FILE = csvOf(ROWS, { amount: '0.01', hasIds: false });

/** The time within which a kill is likely to hit the part of the work that has begun. */
const PART_MS = ROWS / 200;

/** What a client waits for before the server is killed while it reads the file. */
const READING = [
  (upload: Upload) => upload.sendHalf(),
  (upload: Upload) => upload.send(),
  (upload: Upload) => upload.send().then(() => upload.until('begin')),
  (upload: Upload) => upload.send().then(() => upload.until('progress')),
] as const;

/** The phases of an order during which the server is killed. */
const PERFORMING = ['WRITING', 'WAITING', 'CHECKING'] as const;

type Env = Readonly<Record<string, string>>;

async function newDatabase(): Promise<Env> {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  return { DATABASE_URL: database.url };
}

async function verify(env: Env): Promise<void> {
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
}

/** Returns the balance after files were performed. */
const balanceAfter = (files: number) => (100_000 - (files * ROWS) / 100).toFixed(2);

async function allOrders(client: Client): Promise<{ id: string; rowCount: number }[]> {
  const { orders } = await client.data('{ orders(first: 100) { nodes { id rowCount } } }');
  return orders.nodes;
}

/** Submits all orders that are there. An order is either whole, or refused because it is being read. */
async function submitAll(client: Client): Promise<void> {
  for (const { id, rowCount } of await allOrders(client)) {
    const answer = await submitOrder(client, id);
    if (answer.__typename === 'BulkTransferOrder') expect(rowCount).toBe(ROWS);
    // It may be submitted, and even deleted, already.
    else expect(answer.__typename).toMatch(/^Order(StateConflict|NotFound)$/);
  }
}

async function expectPerformed(client: Client, id: string): Promise<void> {
  const { bulkTransfers } = await untilOrderIs(client, id, 'PERFORMED');
  const rows = bulkTransfers.map(({ transferCount }: { transferCount: number }) => transferCount);
  expect(rows.reduce((sum: number, count: number) => sum + count, 0)).toBe(ROWS);
}

test('kill -9 while a file is sent and read leaves no order of a part of it, and the same request makes one', async () => {
  const env = await newDatabase();
  const random = new Random('files that are read');
  const keys = READING.map((_, round) => `file ${round}`);

  for (const [round, untilReading] of READING.entries()) {
    const server = await startProcess(env);
    await submitAll(server.client);
    const upload = new Upload(server.url, FILE, keys[round] ?? '');
    await untilReading(upload);
    await sleep(random.below(PART_MS));
    await server.kill();
    await verify(env);
  }

  const { url, client, stop } = await startProcess(env);
  await submitAll(client);
  const ids: string[] = [];
  for (const key of keys) ids.push(await importOnce(url, FILE, key));
  await expect.poll(async () => (await allOrders(client)).length).toBe(keys.length);
  const orders = await allOrders(client);
  expect(orders.map(({ id }) => id).toSorted()).toEqual(ids.toSorted());
  for (const { rowCount } of orders) expect(rowCount).toBe(ROWS);
  expect(await stop()).toBe(0);
  await verify(env);
});

function follow(url: string, id: string): Subscriber {
  const query = `subscription ($id: ID!) { orderProgress(id: $id) {
    phase rowsDone rowsTotal order { status } } }`;
  return subscribe(url, query, { id });
}

/** Waits until a subscriber has seen an order in a phase, or after it. */
async function untilPhase({ events }: Subscriber, phase: string): Promise<void> {
  const isSeen = () =>
    events.some((event) => event.phase === phase || event.order.status === 'PERFORMED');
  await expect.poll(isSeen, { interval: 5 }).toBe(true);
}

/** Waits until a subscriber has seen the end of an order, and checks what it was told. */
async function expectFollowed({ events, errors }: Subscriber): Promise<void> {
  await expect.poll(() => events.at(-1)?.order.status).toBe('PERFORMED');
  expect(events.at(-1)).toMatchObject({ phase: 'DONE', rowsDone: ROWS, rowsTotal: ROWS });
  for (const { rowsDone } of events) expect(rowsDone).toBeLessThanOrEqual(ROWS);
  expect(errors).toEqual([]);
}

/** Brings a file from the upload to its last transfer, while the server is killed and started again. */
async function bring(env: Env, server: ServerProcess, round: number): Promise<ServerProcess> {
  const random = new Random(`journey ${round}`);
  const key = `journey ${round}`;
  const killed = async () => {
    await sleep(random.below(PART_MS));
    await server.kill();
    return startProcess(env);
  };
  const point = round % (PERFORMING.length + READING.length);
  const untilReading = READING[point - PERFORMING.length];
  if (untilReading) {
    await untilReading(new Upload(server.url, FILE, key));
    const next = await killed();
    const id = await importOnce(next.url, FILE, key);
    const subscriber = follow(next.url, id);
    await submitOrder(next.client, id);
    await expectFollowed(subscriber);
    await expectPerformed(next.client, id);
    return next;
  }
  const id = await importOnce(server.url, FILE, key);
  const before = follow(server.url, id);
  await submitOrder(server.client, id);
  await untilPhase(before, PERFORMING[point] ?? '');
  const next = await killed();
  await expectFollowed(follow(next.url, id));
  await expectPerformed(next.client, id);
  return next;
}

test(
  'a file is performed once, and a subscriber sees its end, whenever the server is killed',
  async () => {
    const env = await newDatabase();
    let server = await startProcess(env);
    for (let round = 0; round < KILLS; round += 1) {
      server = await bring(env, server, round);
      expect(await server.client.balance(ACME)).toBe(balanceAfter(round + 1));
      if (KILLS > 1) {
        await verify(env);
        console.log(`kill ${round + 1} of ${KILLS}, ${ROWS} rows, ${DIALECT}: performed once`);
      }
    }
    expect(await allOrders(server.client)).toHaveLength(KILLS);
    expect(await server.stop()).toBe(0);
    await verify(env);
  },
  600_000 + 120_000 * KILLS,
);

test.runIf(DIALECT === 'mysql')(
  'a second server performs the file that the first one read, and reads the file during which it died',
  async () => {
    const env = await newDatabase();
    const first = await startProcess(env);
    const second = await startProcess(env);
    const read = await importOnce(first.url, FILE, 'read');
    const upload = new Upload(first.url, FILE, 'half read');
    await upload.send();
    await upload.until('progress');
    await first.kill();

    await submitAll(second.client);
    const half = await importOnce(second.url, FILE, 'half read');
    await submitOrder(second.client, half);

    for (const id of [read, half]) await expectPerformed(second.client, id);
    expect((await allOrders(second.client)).map(({ id }) => id).toSorted()).toEqual(
      [read, half].toSorted(),
    );
    expect(await second.client.balance(ACME)).toBe(balanceAfter(2));
    expect(await second.stop()).toBe(0);
    await verify(env);
  },
);
