import type { Database, DatabaseAccess, DatabaseSettings } from './dialect.js';
import { openMySql } from './mysql-dialect.js';
import { openSqlite } from './sqlite-dialect.js';

/**
 * Opens the database that the settings name, with its dialect.
 * @throws DatabaseInUseError if another process has the same SQLite file
 */
export function openDatabase(
  settings: DatabaseSettings,
  access: DatabaseAccess = 'read-write',
): Promise<Database> {
  return settings.databaseUrl.startsWith('sqlite:')
    ? openSqlite(settings, access)
    : openMySql(settings, access);
}
