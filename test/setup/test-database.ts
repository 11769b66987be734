import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { openDatabase } from '../../src/infrastructure/database/dialect.js';
import { MYSQL_URL } from './mysql-url.js';

/** A database of one test file. */
export interface TestDatabase {
  readonly url: string;
  drop(): Promise<void>;
}

/** Which database this run of the suite is on. */
export const DIALECT = process.env.TEST_DATABASE === 'mysql' ? 'mysql' : 'sqlite';

/** An empty database, without a table. */
export function createDatabase(): Promise<TestDatabase> {
  return DIALECT === 'mysql' ? createMysqlDatabase() : createSqliteFile();
}

/** A database with every migration applied. */
export async function createMigratedDatabase(): Promise<TestDatabase> {
  const database = await createDatabase();
  await migrate(database.url);
  return database;
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
  return { url, drop: () => onServer(MYSQL_URL, `drop database ${url.split('/').at(-1)}`) };
}

/** An empty database of its own on a server. @returns its URL */
export async function createDatabaseOn(serverUrl: string): Promise<string> {
  const name = `virement_test_${randomUUID().replaceAll('-', '')}`;
  await onServer(serverUrl, `create database ${name}`);
  return `${serverUrl}/${name}`;
}

async function onServer(serverUrl: string, statement: string): Promise<void> {
  const connection = await createConnection(serverUrl.replace(/^mariadb:/, 'mysql:'));
  try {
    await connection.query(statement);
  } finally {
    await connection.end();
  }
}
