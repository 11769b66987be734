/** Tests that processes that are killed lose no event and, with a store, double none. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { consume } from '@virement/consumer';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { SILENT } from '../support/client-consumer.js';
import { endProcess } from '../support/end-process.js';
import { anEvent, type EventQueue, eventsOf, makeEventQueue } from '../support/event-queue.js';
import { MYSQL_URL } from '../support/mysql-url.js';
import { startBrokerProxy } from '../support/proxy.js';
import { createDatabaseOn } from '../support/test-database.js';

/** A folder in which the script of the service finds the package by its name. */
let folder = '';

beforeAll(async () => {
  await mkdir('generated', { recursive: true });
  folder = resolve(await mkdtemp('generated/consumer-'));
  await mkdir(join(folder, 'node_modules/@virement'), { recursive: true });
  await symlink(resolve('clients/consumer'), join(folder, 'node_modules/@virement/consumer'));
  await copyFile('test/support/consumer-process.mjs', join(folder, 'service.mjs'));
  return () => rm(folder, { recursive: true });
});

/** The table to which the service writes its rows. */
interface Payslips {
  readonly url: string;
  /** Returns the event id of each row. */
  ids(): Promise<string[]>;
}

async function inSqlite(): Promise<Payslips> {
  const url = join(folder, 'payslips.db');
  const database = new DatabaseSync(url, { timeout: 10_000 });
  onTestFinished(() => database.close());
  database.exec('pragma journal_mode = wal; create table payslip (event_id text not null)');
  const ids = async () =>
    database
      .prepare('select event_id from payslip')
      .all()
      .map((row) => String(row.event_id));
  return { url, ids };
}

async function inMysql(): Promise<Payslips> {
  const url = (await createDatabaseOn(MYSQL_URL)).replace(/^mariadb:/, 'mysql:');
  const connection = await createConnection(url);
  onTestFinished(async () => {
    await connection.query('drop database ??', [url.split('/').at(-1)]);
    await connection.end();
  });
  await connection.query('create table payslip (event_id varchar(36) not null)');
  const ids = async () => {
    const [rows] = await connection.query<RowDataPacket[]>('select event_id from payslip');
    return rows.map((row) => String(row.event_id));
  };
  return { url, ids };
}

function startService(queue: EventQueue, { url }: Payslips, env: NodeJS.ProcessEnv = {}) {
  const child = spawn(process.execPath, [join(folder, 'service.mjs')], {
    env: {
      ...process.env,
      AMQP_URL,
      QUEUE: queue.name,
      ACCOUNT: queue.account,
      DATABASE_URL: url,
      ...env,
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  onTestFinished(async () => {
    await endProcess(child, 'SIGKILL');
  });
  return child;
}

async function untilKilled(child: ChildProcess): Promise<void> {
  if (child.signalCode === null) await once(child, 'exit');
}

test.each([
  ['SQLite', inSqlite],
  ['MySQL', inMysql],
])(
  'services that are killed at random and between commit and acknowledgement process each event once, with %s',
  async (_name, makePayslips) => {
    const queue = await makeEventQueue([800, 1_000, 1_200, 8_000, 10_000, 12_000].concat(LONG));
    const payslips = await makePayslips();
    const first = startService(queue, payslips, { KILL_AFTER: '20' });
    await expect.poll(() => queue.consumers()).toBe(1);
    const events = eventsOf(queue.account, 1_000);

    await queue.publish(events);
    await untilKilled(first);
    expect((await payslips.ids()).length).toBeGreaterThanOrEqual(20);
    await untilKilled(startService(queue, payslips, { KILL_AFTER: '50' }));
    for (const rows of [150, 400]) {
      const service = startService(queue, payslips);
      await expect.poll(async () => (await payslips.ids()).length).toBeGreaterThan(rows);
      await endProcess(service, 'SIGKILL');
    }
    startService(queue, payslips);
    startService(queue, payslips);

    await expect.poll(async () => (await payslips.ids()).length).toBe(1_000);
    await expect.poll(() => queue.depth()).toBe(0);
    expect((await payslips.ids()).sort()).toEqual(events.map(({ id }) => id).sort());
    expect(queue.deadLetters).toEqual([]);
  },
);

/** The longer ones of the default delays, with their jitter. */
const LONG = [48_000, 60_000, 72_000, 480_000, 600_000, 720_000];

test('events that a process holds when it crashes on another event are processed, and no dead letters', async () => {
  const queue = await makeEventQueue();
  const { proxy, amqpUrl } = await startBrokerProxy();
  const poison = anEvent(queue.account);
  const others = eventsOf(queue.account, 20);
  const seen = new Set<string>();
  const consumer = await consume(
    {
      url: amqpUrl,
      queue: queue.name,
      accounts: [queue.account],
      retry: { delaysMs: [] },
      logger: SILENT,
    },
    async ({ id }) => {
      seen.add(id);
      // No acknowledgement of the others reaches the broker.
      if (id === poison.id) proxy.cut();
    },
  );
  onTestFinished(() => consumer.stop());
  await consumer.ready;

  await queue.publish([poison, ...others]);

  await expect.poll(() => queue.deadLetters.length).toBe(1);
  expect(queue.deadLetters[0]?.properties.messageId).toBe(poison.id);
  await expect.poll(() => consumer.isReady).toBe(true);
  await expect.poll(() => queue.depth()).toBe(0);
  const last = anEvent(queue.account);
  await queue.publish([last]);
  await expect.poll(() => seen.has(last.id)).toBe(true);
  expect(queue.deadLetters).toHaveLength(1);
});

test('an event on which processes crash is a dead letter of the broker, and the queue goes on', async () => {
  const queue = await makeEventQueue();
  const { proxy, amqpUrl } = await startBrokerProxy();
  const poison = anEvent(queue.account);
  const good = anEvent(queue.account);
  const seen: string[] = [];
  const consumer = await consume(
    {
      url: amqpUrl,
      queue: queue.name,
      accounts: [queue.account],
      prefetch: 1,
      retry: { delaysMs: [] },
      logger: SILENT,
    },
    async ({ id }) => {
      seen.push(id);
      // The broker sees what it sees of a process that crashes.
      if (id === poison.id) proxy.cut();
    },
  );
  onTestFinished(() => consumer.stop());
  await consumer.ready;

  await queue.publish([poison, good]);

  await expect.poll(() => queue.deadLetters.length).toBe(1);
  await expect.poll(() => seen.at(-1)).toBe(good.id);
  expect(seen.filter((id) => id === poison.id)).toHaveLength(21);
  const [letter] = queue.deadLetters;
  expect(letter?.properties.messageId).toBe(poison.id);
  expect(letter?.headers).toMatchObject({
    'x-death': [{ queue: queue.name, reason: 'delivery_limit', count: 1 }],
  });
  expect(letter?.headers).not.toHaveProperty('x-virement-reason');
});
