/** npm run migrate: brings the schema up to date, or takes its last migration back. */
import { parseArgs } from 'node:util';
import { loadConfig } from '../config.js';
import { type Database, openDatabase } from '../infrastructure/database/dialect.js';
import { explained, revertLast } from '../infrastructure/database/migrations.js';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { runProgram } from '../program.js';

const HELP = `npm run migrate -- [up | pending | down [--drop-data-of NAME]]

  up        applies every migration that has not run; the default
  pending   lists the migrations that have not run
  down      takes the last migration back

Options:
  --drop-data-of NAME   lets down drop rows of the database of this name
  --help                prints this

The database is DATABASE_URL's. Two migrations of one database take turns.`;

type Command = (database: Database, confirmedName: string | undefined) => Promise<void>;

const COMMANDS: Readonly<Record<string, Command>> = {
  up: async ({ orm }) => report('applied', await orm.migrator.up(), 'up to date'),
  pending: async ({ orm }) => report('pending', await orm.migrator.getPending(), 'up to date'),
  down: async (database, confirmedName) =>
    report('reverted', await revertLast(database, confirmedName), 'nothing reverted'),
};

await runProgram(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { help: { type: 'boolean', short: 'h' }, 'drop-data-of': { type: 'string' } },
  });
  if (values.help) return console.log(HELP);
  const [name = 'up', ...others] = positionals;
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command || others.length > 0) {
    throw new ExplainedError(`Unknown: ${positionals.join(' ')}.\n\n${HELP}`);
  }
  const confirmedName = values['drop-data-of'];
  if (confirmedName !== undefined && name !== 'down') {
    throw new ExplainedError('--drop-data-of is for down alone.');
  }
  const database = await openDatabase(loadConfig());
  try {
    await explained(database, () =>
      database.whileMigrating(() => command(database, confirmedName)),
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
