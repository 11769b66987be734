/**
 * A service that writes each event as a row, in the transaction of its store. The test kills it.
 * AMQP_URL, QUEUE and ACCOUNT say what it consumes, and DATABASE_URL where it writes: a file, or a URL of MySQL.
 * KILL_AFTER: it kills itself after this number of commits, before the event is acknowledged.
 */
import { DatabaseSync } from 'node:sqlite';
import { consume, mysqlDedupe, sqliteDedupe } from '@virement/consumer';
import { createPool } from 'mysql2/promise';

const { AMQP_URL, QUEUE, ACCOUNT, DATABASE_URL, KILL_AFTER } = process.env;
const INSERT = 'insert into payslip (event_id) values (?)';

const store = DATABASE_URL.startsWith('mysql:') ? inMysql() : inSqlite();
let commits = 0;

function inMysql() {
  return {
    dedupe: mysqlDedupe(createPool(DATABASE_URL)),
    insert: (connection, id) => connection.query(INSERT, [id]),
  };
}

function inSqlite() {
  const database = new DatabaseSync(DATABASE_URL, { timeout: 10_000 });
  return {
    dedupe: sqliteDedupe(database),
    insert: async (opened, id) => opened.prepare(INSERT).run(id),
  };
}

const dedupe = {
  once: async (id, work) => {
    const outcome = await store.dedupe.once(id, work);
    commits += 1;
    if (commits === Number(KILL_AFTER)) process.kill(process.pid, 'SIGKILL');
    return outcome;
  },
};

await consume(
  { url: AMQP_URL, queue: QUEUE, accounts: [ACCOUNT], dedupe },
  async ({ id }, { transaction }) => {
    await store.insert(transaction, id);
  },
);
