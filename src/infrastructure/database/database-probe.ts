import { type MikroORM, TableNotFoundException } from '@mikro-orm/sql';
import { type PartState, type PartStatus, partStateOf } from '../observability/part-state.js';
import type { Database } from './dialect.js';

/** What may be wrong with a database while the server runs, and whether it can take bulks all the same. */
const FAULTS = {
  UNREACHABLE: 'unavailable',
  NOT_MIGRATED: 'unavailable',
  READ_ONLY: 'unavailable',
} as const satisfies Record<string, PartStatus>;

export type DatabaseFault = keyof typeof FAULTS;

/** Returns the state of the database now; it may take as long as the database does. */
export type ProbeDatabase = () => Promise<PartState>;

/** Makes the probe of a database on which every migration has run, as the server requires when it starts. */
export async function makeDatabaseProbe(database: ProbedDatabase): Promise<ProbeDatabase> {
  const migrationCount = await countMigrations(database.orm);
  return async () => partStateOf(await findFaults(database, migrationCount), FAULTS);
}

type ProbedDatabase = Pick<Database, 'orm' | 'isWritable'>;

async function findFaults(
  { orm, isWritable }: ProbedDatabase,
  migrationCountMin: number,
): Promise<DatabaseFault[]> {
  try {
    // The migrations of a newer server may have run meanwhile.
    if ((await countMigrations(orm)) < migrationCountMin) return ['NOT_MIGRATED'];
    return (await isWritable()) ? [] : ['READ_ONLY'];
  } catch (error) {
    return [error instanceof TableNotFoundException ? 'NOT_MIGRATED' : 'UNREACHABLE'];
  }
}

async function countMigrations(orm: MikroORM): Promise<number> {
  const [row] = await orm.em
    .fork()
    .execute<{ count: number | string }[]>('select count(*) as count from virement_migration');
  return Number(row?.count);
}
