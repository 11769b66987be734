import { fileURLToPath } from 'node:url';
import { Migrator } from '@mikro-orm/migrations';
import type { Options } from '@mikro-orm/sql';
import { ENTITIES } from '../../entities/index.js';
import { MIGRATIONS } from '../../files.js';

/** What MikroORM is told for every dialect. */
export function ormOptions(dialect: 'mysql' | 'sqlite'): Options {
  return {
    entities: [...ENTITIES],
    extensions: [Migrator],
    migrations: {
      path: fileURLToPath(new URL(dialect, MIGRATIONS)),
      tableName: 'virement_migration',
      snapshot: false,
      silent: true,
      // MySQL commits every DDL statement by itself.
      transactional: dialect === 'sqlite',
      allOrNothing: dialect === 'sqlite',
    },
    forceUtcTimezone: true,
  };
}
