import { randomUUID } from 'node:crypto';
import { copyFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, createConnection, type RowDataPacket } from 'mysql2/promise';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { MYSQL_URL } from './mysql-url.js';

/** A database of one test file. */
export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** The database of this run of the suite. */
export const DIALECT = process.env.TEST_DATABASE === 'mysql' ? 'mysql' : 'sqlite';

/** Creates an empty database without tables. */
export function createDatabase(): Promise<TestDatabase> {
  return DIALECT === 'mysql' ? createMysqlDatabase() : createSqliteFile();
}

/** Creates a database with all migrations applied. */
export async function createMigratedDatabase(): Promise<TestDatabase> {
  template ??= DIALECT === 'mysql' ? mysqlTemplate() : sqliteTemplate();
  const makeTables = await template;
  const database = await createDatabase();
  await makeTables(database.url);
  return database;
}

/** Creates the tables of the migrations in an empty database. The migrations run once for each test file. */
type Template = (databaseUrl: string) => Promise<void>;

let template: Promise<Template> | undefined;

async function sqliteTemplate(): Promise<Template> {
  const migrated = await createSqliteFile();
  await migrate(migrated.url);
  const file = await readFile(fileOf(migrated.url));
  await migrated.drop();
  return (databaseUrl) => writeFile(fileOf(databaseUrl), file);
}

async function mysqlTemplate(): Promise<Template> {
  const migrated = await createMysqlDatabase();
  await migrate(migrated.url);
  const { tables, migrations } = await onServer(migrated.url, async (connection) => {
    const [names] = await connection.query<RowDataPacket[]>(
      'select table_name as name from information_schema.tables where table_schema = database()',
    );
    const tables: string[] = [];
    for (const { name } of names) {
      const [rows] = await connection.query<RowDataPacket[]>('show create table ??', [name]);
      tables.push(rows[0]?.['Create Table']);
    }
    const [migrations] = await connection.query<RowDataPacket[]>(
      'select name from virement_migration',
    );
    return { tables, migrations: migrations.map(({ name }) => [name]) };
  });
  await migrated.drop();
  // A table that another one references may come after it.
  const statements = ['set foreign_key_checks = 0', ...tables].join(';');
  return (databaseUrl) =>
    onServer(databaseUrl, async (connection) => {
      await connection.query(statements);
      await connection.query('insert into virement_migration (name) values ?', [migrations]);
    });
}

/**
 * Creates a database with the current rows of another one, like a restored backup. No process may have the other one
 * open.
 */
export async function copyOf(database: TestDatabase): Promise<TestDatabase> {
  const copy = await createMigratedDatabase();
  if (DIALECT === 'sqlite') {
    await copyFile(fileOf(database.url), fileOf(copy.url));
    return copy;
  }
  await onServer(copy.url, async (connection) => {
    await connection.query('set foreign_key_checks = 0');
    const [tables] = await connection.query<RowDataPacket[]>(
      'select table_name as name from information_schema.tables where table_schema = database()',
    );
    for (const { name } of tables) {
      await connection.query('delete from ??', [name]);
      await connection.query('insert into ?? select * from ??', [
        name,
        `${database.url.split('/').at(-1)}.${name}`,
      ]);
    }
  });
  return copy;
}

function fileOf(databaseUrl: string): string {
  return databaseUrl.slice('sqlite:'.length);
}

export async function migrate(databaseUrl: string): Promise<void> {
  const opened = await openDatabase({ databaseUrl, databasePoolMax: 3, lockTimeoutMs: 5_000 });
  try {
    await opened.orm.migrator.up();
  } finally {
    await opened.close();
  }
}

async function createSqliteFile(): Promise<TestDatabase> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-test-'));
  return {
    url: `sqlite:${join(folder, 'virement.db')}`,
    drop: () => rm(folder, { recursive: true, force: true }),
  };
}

async function createMysqlDatabase(): Promise<TestDatabase> {
  const url = await createDatabaseOn(MYSQL_URL);
  const drop = () =>
    onServer(MYSQL_URL, async (connection) => {
      await connection.query('drop database ??', [url.split('/').at(-1)]);
    });
  return { url, drop };
}

/** Creates an empty database on a server. @returns its URL */
export async function createDatabaseOn(serverUrl: string): Promise<string> {
  const name = `virement_test_${randomUUID().replaceAll('-', '')}`;
  await onServer(serverUrl, (connection) => connection.query(`create database ${name}`));
  return `${serverUrl}/${name}`;
}

async function onServer<Result>(
  url: string,
  work: (connection: Connection) => Promise<Result>,
): Promise<Result> {
  const uri = url.replace(/^mariadb:/, 'mysql:');
  const connection = await createConnection({ uri, multipleStatements: true });
  try {
    return await work(connection);
  } finally {
    await connection.end();
  }
}
