/** Databases of the bench's own: made when a subject needs one, and dropped when the bench ends. */
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

/** Where databases may be made. */
const MARIADB_URL = process.env.BENCH_MYSQL_URL || 'mariadb://root@127.0.0.1:3306';
const POSTGRES_URL = process.env.BENCH_POSTGRES_URL || 'postgres://root@127.0.0.1:5432';

const CONNECT_MAX_MS = 5_000;

const nameOf = (subject: string) => `virement_bench_${process.pid}_${subject.replaceAll('-', '_')}`;

/** As mysql2 and its kind want it. */
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

/** @throws Error where no PostgreSQL answers, or it is not durable */
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

/** @throws Error where nobody answers */
async function onMariaDb<Result>(
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const connection = await createConnection({
    uri: mysqlUrl(MARIADB_URL),
    connectTimeout: CONNECT_MAX_MS,
  });
  try {
    return await work(connection);
  } finally {
    await connection.end();
  }
}

/** Of every message of a ledger of ours since a moment that was published. */
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

/** @throws Error where nobody answers */
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
 * Which MariaDB or MySQL answers.
 * @throws Error where none does, or where a commit there would not survive a power loss
 */
export async function mariaDbVersion(): Promise<string> {
  const [rows] = await onMariaDb((connection) =>
    connection.query<RowDataPacket[]>(
      'select version() as version, @@innodb_flush_log_at_trx_commit as flushed',
    ),
  );
  if (rows[0]?.flushed !== 1) throw new Error('innodb_flush_log_at_trx_commit is not 1');
  return shortVersion(rows[0].version);
}

/**
 * Which PostgreSQL answers.
 * @throws Error where none does, or where a commit there would not survive a power loss
 */
export async function postgresVersion(): Promise<string> {
  const { rows } = await onPostgres(`${POSTGRES_URL}/postgres`, (client) =>
    client.query<{ version: string; isDurable: boolean }>(
      `select current_setting('server_version') as version,
        current_setting('synchronous_commit') = 'on' and current_setting('fsync') = 'on'
          as "isDurable"`,
    ),
  );
  if (!rows[0]?.isDurable) throw new Error('synchronous_commit or fsync is off');
  return shortVersion(rows[0].version);
}

/** Without its distribution's part. */
function shortVersion(version: string): string {
  return /^[\d.]+/.exec(version)?.[0] ?? version;
}
