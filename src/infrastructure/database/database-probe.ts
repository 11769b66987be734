import { type MikroORM, TableNotFoundException } from '@mikro-orm/sql';
import { type PartState, type PartStatus, partStateOf } from '../observability/part-state.js';
import type { DatabaseTrouble, DatabaseWatch } from './database-watch.js';
import type { Database } from './dialect.js';

export type DatabaseFault = DatabaseTrouble | 'NOT_MIGRATED';

/** What may be wrong with a database while the server runs, and whether it can take bulks all the same. */
const FAULTS: Readonly<Record<DatabaseFault, PartStatus>> = {
  UNREACHABLE: 'unavailable',
  NOT_MIGRATED: 'unavailable',
  READ_ONLY: 'unavailable',
  CLOCK_SKEW: 'unavailable',
};

/** Returns the state of the database now; it may take as long as the database does. */
export type ProbeDatabase = () => Promise<PartState>;

/** Makes the probe of a database on which every migration has run, as the server requires when it starts. */
export async function makeDatabaseProbe(
  { orm }: Pick<Database, 'orm'>,
  watch: Pick<DatabaseWatch, 'troubles'>,
): Promise<ProbeDatabase> {
  const migrationCount = await countMigrations(orm);
  const findFaults = async (): Promise<readonly DatabaseFault[]> =>
    (await isMigrated(orm, migrationCount)) ? watch.troubles() : ['NOT_MIGRATED'];
  return async () => partStateOf(await findFaults(), FAULTS);
}

/** A database that does not answer may be migrated: whoever looks at it next finds that it does not answer. */
async function isMigrated(orm: MikroORM, migrationCountMin: number): Promise<boolean> {
  try {
    // The migrations of a newer server may have run meanwhile.
    return (await countMigrations(orm)) >= migrationCountMin;
  } catch (error) {
    return !(error instanceof TableNotFoundException);
  }
}

async function countMigrations(orm: MikroORM): Promise<number> {
  const [row] = await orm.em
    .fork()
    .execute<{ count: number | string }[]>('select count(*) as count from virement_migration');
  return Number(row?.count);
}
