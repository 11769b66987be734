import { Migrator } from '@mikro-orm/migrations';
import type { Options } from '@mikro-orm/sql';
import { MIGRATIONS as MYSQL_MIGRATIONS } from '../../../migrations/mysql/index.js';
import { MIGRATIONS as SQLITE_MIGRATIONS } from '../../../migrations/sqlite/index.js';
import { ENTITIES } from '../../entities/index.js';

const MIGRATIONS = { mysql: MYSQL_MIGRATIONS, sqlite: SQLITE_MIGRATIONS };

/** Returns the options of MikroORM for a dialect. */
export function ormOptions(dialect: 'mysql' | 'sqlite'): Options {
  return {
    entities: [...ENTITIES],
    extensions: [Migrator],
    migrations: {
      migrationsList: MIGRATIONS[dialect],
      tableName: 'virement_migration',
      snapshot: false,
      silent: true,
      // MySQL commits every DDL statement implicitly.
      transactional: dialect === 'sqlite',
      allOrNothing: dialect === 'sqlite',
    },
    forceUtcTimezone: true,
  };
}
