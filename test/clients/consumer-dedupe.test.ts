/** Tests the stores of the consumer package, by themselves and with a consumer. */
import { randomUUID } from 'node:crypto';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as sleep } from 'node:timers/promises';
import { consume, type Dedupe, mysqlDedupe, sqliteDedupe } from '@virement/consumer';
import { createPool, type PoolConnection, type RowDataPacket } from 'mysql2/promise';
import { describe, expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { SILENT } from '../support/client-consumer.js';
import { anEvent, makeEventQueue } from '../support/event-queue.js';
import { MYSQL_URL } from '../support/mysql-url.js';
import { createDatabaseOn } from '../support/test-database.js';

/** A store, and what a handler writes in its transaction. */
interface Store<Transaction> {
  readonly dedupe: Dedupe<Transaction>;
  write(transaction: Transaction, text: string): Promise<void>;
  written(): Promise<string[]>;
  recorded(): Promise<string[]>;
}

interface Options {
  readonly keepMs?: number;
}

async function inSqlite(options: Options): Promise<Store<DatabaseSync>> {
  const database = new DatabaseSync(':memory:');
  onTestFinished(() => database.close());
  database.exec('create table note (text text not null)');
  const column = async (sql: string) =>
    database
      .prepare(sql)
      .all()
      .map(({ text }) => String(text));
  return {
    dedupe: sqliteDedupe(database, options),
    write: async (opened, text) => {
      opened.prepare('insert into note (text) values (?)').run(text);
    },
    written: () => column('select text from note'),
    recorded: () => column('select id as text from virement_consumed_event'),
  };
}

async function inMysql(options: Options): Promise<Store<PoolConnection>> {
  const url = (await createDatabaseOn(MYSQL_URL)).replace(/^mariadb:/, 'mysql:');
  const pool = createPool(url);
  onTestFinished(async () => {
    await pool.query('drop database ??', [url.split('/').at(-1)]);
    await pool.end();
  });
  await pool.query('create table note (text varchar(100) not null)');
  const column = async (sql: string) => {
    const [rows] = await pool.query<RowDataPacket[]>(sql);
    return rows.map(({ text }) => String(text));
  };
  return {
    dedupe: mysqlDedupe(pool, options),
    write: async (connection, text) => {
      await connection.query('insert into note (text) values (?)', [text]);
    },
    written: () => column('select text from note'),
    recorded: () => column('select id as text from virement_consumed_event'),
  };
}

function behaviour<Transaction>(makeStore: (options: Options) => Promise<Store<Transaction>>) {
  test('the work of an id is done once, with the record of the id', async () => {
    const { dedupe, write, written, recorded } = await makeStore({});

    const outcomes = [
      await dedupe.once('1', (transaction) => write(transaction, 'a')),
      await dedupe.once('1', (transaction) => write(transaction, 'b')),
      await dedupe.once('2', (transaction) => write(transaction, 'c')),
    ];

    expect(outcomes).toEqual(['done', 'duplicate', 'done']);
    expect(await written()).toEqual(['a', 'c']);
    expect((await recorded()).sort()).toEqual(['1', '2']);
  });

  test('work that fails writes and records nothing, and can be repeated', async () => {
    const { dedupe, write, written, recorded } = await makeStore({});

    const failed = dedupe.once('1', async (transaction) => {
      await write(transaction, 'a');
      throw new Error('The work failed');
    });

    await expect(failed).rejects.toThrow('The work failed');
    expect(await written()).toEqual([]);
    expect(await recorded()).toEqual([]);
    expect(await dedupe.once('1', (transaction) => write(transaction, 'b'))).toBe('done');
  });

  test('of repetitions at the same time one is done', async () => {
    const { dedupe, write, written } = await makeStore({});

    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () =>
        dedupe.once('1', async (transaction) => {
          await write(transaction, 'a');
          await sleep(5);
        }),
      ),
    );

    expect(outcomes.filter((outcome) => outcome === 'done')).toHaveLength(1);
    expect(await written()).toEqual(['a']);
  });

  test('ids are deleted when they are old enough', async () => {
    const { dedupe, recorded } = await makeStore({ keepMs: 1 });
    // The first call finds nothing to delete; the next deletion is an hour later.
    await dedupe.once('1', async () => {});
    await dedupe.once('2', async () => {});
    expect(await recorded()).toHaveLength(2);
    const now = Date.now();
    const clock = Date.now;
    onTestFinished(() => {
      Date.now = clock;
    });

    Date.now = () => now + 2 * 60 * 60 * 1_000;
    await dedupe.once('3', async () => {});

    expect(await recorded()).toEqual(['3']);
  });

  test('a consumer drops an event that is published again, and one whose first attempt failed is done once', async () => {
    const { dedupe, write, written } = await makeStore({});
    const queue = await makeEventQueue([10]);
    const debugs: string[] = [];
    const consumer = await consume(
      {
        url: AMQP_URL,
        queue: queue.name,
        accounts: [queue.account],
        retry: { delaysMs: [10], jitter: 0 },
        dedupe,
        logger: { ...SILENT, debug: (_fields, message) => debugs.push(message) },
      },
      async ({ id }, { attempt, transaction }) => {
        await write(transaction, id);
        if (attempt === 1) throw new Error('Once more');
      },
    );
    onTestFinished(() => consumer.stop());
    await consumer.ready;
    const event = anEvent(queue.account);
    const other = anEvent(queue.account);

    await queue.publish([event]);
    await expect.poll(written).toEqual([event.id]);
    await queue.publish([event, event, other]);

    await expect.poll(written).toEqual([event.id, other.id]);
    await expect.poll(() => debugs).toEqual(Array(2).fill('Repeated event dropped'));
  });
}

describe('SQLite', () => behaviour(inSqlite));
describe('MySQL', () => behaviour(inMysql));

test('two consumers with the same table get the same events', async () => {
  const { dedupe, write, written } = await inSqlite({});
  const [payroll, audit] = [await makeEventQueue(), await makeEventQueue()];
  for (const { name } of [payroll, audit]) {
    const consumer = await consume(
      {
        url: AMQP_URL,
        queue: name,
        accounts: [payroll.account],
        retry: { delaysMs: [] },
        dedupe,
        logger: SILENT,
      },
      (_event, { transaction }) => write(transaction, name),
    );
    onTestFinished(() => consumer.stop());
    await consumer.ready;
  }

  await payroll.publish([anEvent(payroll.account)]);

  await expect
    .poll(async () => (await written()).sort())
    .toEqual([payroll.name, audit.name].sort());
});

test('a store refuses the name of a table that is no plain name', () => {
  const database = new DatabaseSync(':memory:');
  onTestFinished(() => database.close());

  expect(() => sqliteDedupe(database, { table: `x; drop table ${randomUUID()}` })).toThrow(
    TypeError,
  );
});
