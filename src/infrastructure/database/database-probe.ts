import type { MikroORM } from '@mikro-orm/sql';
import { type PartState, type PartStatus, partStateOf } from '../observability/part-state.js';
import { singleFlight } from '../single-flight.js';
import {
  CHECK_AGE_MAX_MS,
  type DatabaseTrouble,
  type DatabaseWatch,
  troubleOf,
} from './database-watch.js';
import type { Database } from './dialect.js';

/** The status that each trouble of a running database gives, which tells whether the database can accept bulks. */
const FAULTS: Readonly<Record<DatabaseTrouble, PartStatus>> = {
  UNREACHABLE: 'unavailable',
  NOT_MIGRATED: 'unavailable',
  READ_ONLY: 'unavailable',
  ACCESS_DENIED: 'unavailable',
  CLOCK_SKEW: 'unavailable',
};

/**
 * Returns the current state of the database. The call may take as long as the database does. Callers share a check that
 * is running, even after its first caller stops waiting.
 */
export type ProbeDatabase = () => Promise<PartState>;

/** Makes the probe of a database on which every migration has run. The server requires this when it starts. */
export async function makeDatabaseProbe(
  { orm }: Pick<Database, 'orm'>,
  watch: Pick<DatabaseWatch, 'troubles'>,
): Promise<ProbeDatabase> {
  const migrationCount = await countMigrations(orm);
  const findAll = singleFlight(() => findFaults(orm, migrationCount, watch), CHECK_AGE_MAX_MS);
  return async () => partStateOf(await findAll(), FAULTS);
}

async function findFaults(
  orm: MikroORM,
  migrationCountMin: number,
  watch: Pick<DatabaseWatch, 'troubles'>,
): Promise<readonly DatabaseTrouble[]> {
  try {
    // A newer server may have run its migrations since the start.
    if ((await countMigrations(orm)) < migrationCountMin) return ['NOT_MIGRATED'];
  } catch (error) {
    return [troubleOf(error)];
  }
  return watch.troubles();
}

async function countMigrations(orm: MikroORM): Promise<number> {
  const [row] = await orm.em
    .fork()
    .execute<{ count: number | string }[]>('select count(*) as count from virement_migration');
  return Number(row?.count);
}
