/** npm run migrate brings the schema up to date, lists the pending migrations, or reverts the last migration. */
import { loadConfig } from '../config.js';
import type { Database } from '../infrastructure/database/dialect.js';
import { explained, revertLast } from '../infrastructure/database/migrations.js';
import { openDatabase } from '../infrastructure/database/open-database.js';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { runProgram } from '../program.js';
import { readActionArguments } from './arguments.js';

const USAGE = {
  call: 'npm run migrate --',
  summary:
    'Changes the tables of the database that DATABASE_URL names. A second migration waits for the first.',
  actions: {
    up: 'applies every migration that has not run; the default',
    pending: 'lists the migrations that have not run',
    down: 'reverts the last migration',
  },
  defaultAction: 'up',
  options: {
    'drop-data-of': {
      type: 'string',
      value: 'NAME',
      help: 'allows down to drop the rows of the database with this name',
    },
  },
} as const;

type Action = keyof typeof USAGE.actions;

type Work = (database: Database, confirmedName: string | undefined) => Promise<void>;

const WORK: Readonly<Record<Action, Work>> = {
  up: async ({ orm }) => report('applied', await orm.migrator.up(), 'up to date'),
  pending: async ({ orm }) => report('pending', await orm.migrator.getPending(), 'up to date'),
  down: async (database, confirmedName) =>
    report('reverted', await revertLast(database, confirmedName), 'nothing reverted'),
};

await runProgram(async () => {
  const { action, values } = readActionArguments(USAGE);
  const confirmedName = values['drop-data-of'];
  if (confirmedName !== undefined && action !== 'down') {
    throw new ExplainedError('--drop-data-of is allowed with down only.');
  }
  const database = await openDatabase(loadConfig());
  try {
    await explained(database, () =>
      database.whileMigrating(() => WORK[action](database, confirmedName)),
    );
  } finally {
    await database.close();
  }
});

function report(
  what: string,
  migrations: readonly { readonly name: string }[],
  nothing: string,
): void {
  if (migrations.length === 0) console.log(nothing);
  for (const { name } of migrations) console.log(`${what} ${name}`);
}
