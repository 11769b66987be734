/** Databases of the bench. Each is created for one subject, and dropped when the program ends. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { Client } from 'pg';
import { atEnd } from './cleanup.ts';

export interface BenchDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** The servers on which the bench may create databases. */
const MARIADB_URL = process.env.BENCH_MYSQL_URL || 'mariadb://root@127.0.0.1:3306';
const POSTGRES_URL = process.env.BENCH_POSTGRES_URL || 'postgres://root@127.0.0.1:5432';

const CONNECT_MAX_MS = 5_000;

const nameOf = (subject: string) => `virement_bench_${process.pid}_${subject.replaceAll('-', '_')}`;

/** Returns the URL in the form that mysql2, Prisma and TypeORM accept. */
export function mysqlUrl(url: string): string {
  return url.replace(/^mariadb:/, 'mysql:');
}

export async function createMariaDb(subject: string): Promise<BenchDatabase> {
  const name = nameOf(subject);
  const drop = () => execute(`drop database if exists ${name}`);
  atEnd(drop);
  await execute(`create database ${name}`);
  return { url: `${MARIADB_URL}/${name}`, drop };

  async function execute(statement: string): Promise<void> {
    await onMariaDb((connection) => connection.query(statement));
  }
}

/** @throws Error if PostgreSQL is unreachable or not durable */
export async function createPostgres(subject: string): Promise<BenchDatabase> {
  await postgresVersion();
  const name = nameOf(subject);
  const drop = () => execute(`drop database if exists ${name} with (force)`);
  atEnd(drop);
  await execute(`create database ${name}`);
  return { url: `${POSTGRES_URL}/${name}`, drop };

  async function execute(statement: string): Promise<void> {
    await onPostgres(`${POSTGRES_URL}/postgres`, (client) => client.query(statement));
  }
}

export async function createSqliteFile(): Promise<BenchDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-bench-'));
  const drop = () => rm(folder, { recursive: true, force: true });
  atEnd(drop);
  return { url: `sqlite:${join(folder, 'virement.db')}`, drop };
}

/** @throws Error if MariaDB is unreachable */
export async function onMariaDb<Result>(
  work: (connection: Connection) => Promise<Result>,
  url = MARIADB_URL,
): Promise<Result> {
  const connection = await createConnection({
    uri: mysqlUrl(url),
    timezone: 'Z',
    connectTimeout: CONNECT_MAX_MS,
  });
  try {
    return await work(connection);
  } finally {
    await connection.end();
  }
}

/** Returns the time from creation to publication of each outbox message created since a moment, in ms. */
export async function publishLatenciesMs(databaseUrl: string, since: Date): Promise<number[]> {
  const database = new URL(databaseUrl).pathname.slice(1);
  const [rows] = await onMariaDb((connection) =>
    connection.query<RowDataPacket[]>(
      `select timestampdiff(microsecond, created_at, published_at) / 1000 as ms
        from ??.outbox_message where created_at >= ? and published_at is not null`,
      [database, since.toISOString().slice(0, -1)],
    ),
  );
  return rows.map(({ ms }) => Number(ms));
}

/** @throws Error if PostgreSQL is unreachable */
export async function onPostgres<Result>(
  url: string,
  work: (client: Client) => Promise<Result>,
): Promise<Result> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: CONNECT_MAX_MS });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/**
 * Returns the version of MariaDB or MySQL.
 * @throws Error if it is unreachable, or if a commit would not survive a power loss
 */
export async function mariaDbVersion(): Promise<string> {
  const [rows] = await onMariaDb((connection) =>
    connection.query<RowDataPacket[]>(
      'select version() as version, @@innodb_flush_log_at_trx_commit as flushed',
    ),
  );
  if (rows[0]?.flushed !== 1)
    throw new Error('innodb_flush_log_at_trx_commit is not 1: the database is not durable');
  return shortVersion(rows[0].version);
}

/**
 * Returns the version of PostgreSQL.
 * @throws Error if it is unreachable, or if a commit would not survive a power loss
 */
export async function postgresVersion(): Promise<string> {
  const { rows } = await onPostgres(`${POSTGRES_URL}/postgres`, (client) =>
    client.query<{ version: string; isDurable: boolean }>(
      `select current_setting('server_version') as version,
        current_setting('synchronous_commit') = 'on' and current_setting('fsync') = 'on'
          as "isDurable"`,
    ),
  );
  if (!rows[0]?.isDurable)
    throw new Error('synchronous_commit or fsync is off: PostgreSQL is not durable');
  return shortVersion(rows[0].version);
}

/** Removes the suffix of a distribution. */
function shortVersion(version: string): string {
  return /^[\d.]+/.exec(version)?.[0] ?? version;
}
