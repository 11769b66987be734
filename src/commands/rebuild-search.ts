/** npm run search:rebuild makes the search tables anew from the ledger. */
import { SingleBar } from 'cli-progress';
import { loadConfig } from '../config.js';
import { normaliseIban } from '../domain/iban.js';
import { Account } from '../entities/account.entity.js';
import type { Database } from '../infrastructure/database/dialect.js';
import { assertMigrated, explained } from '../infrastructure/database/migrations.js';
import { openDatabase } from '../infrastructure/database/open-database.js';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { makeLogger } from '../infrastructure/observability/logger.js';
import { Indexer } from '../infrastructure/search/indexer.js';
import { runProgram } from '../program.js';
import { readArguments } from './arguments.js';

/** The number of accounts that are rebuilt at once. */
const ACCOUNTS_AT_ONCE = 100;

const USAGE = {
  call: 'npm run search:rebuild --',
  summary: `Makes the search tables of the ledger that DATABASE_URL names anew. With MySQL or MariaDB, a server may run at
the same time. The server of an embedded database must be stopped.`,
  options: {
    account: { type: 'string', value: 'IBAN', help: 'rebuild this account alone' },
  },
} as const;

await runProgram(async () => {
  const { account: iban } = readArguments(USAGE);
  const config = loadConfig();
  const database = await openDatabase(config);
  try {
    await assertMigrated(database);
    await explained(database, () =>
      rebuild(database, new Indexer(database, makeLogger(config.logLevel)), iban),
    );
  } finally {
    await database.close();
  }
});

/** @throws ExplainedError if no account has the IBAN */
async function rebuild(
  { orm }: Database,
  indexer: Indexer,
  iban: string | undefined,
): Promise<void> {
  const ofOne = iban === undefined ? {} : { iban: normaliseIban(iban) };
  const total = await orm.em.fork().count(Account, ofOne);
  if (total === 0 && iban !== undefined)
    throw new ExplainedError(`No account has the IBAN ${iban}.`);
  if (iban === undefined) await indexer.removeOrphans();
  const bar = new SingleBar({ format: 'accounts [{bar}] {value}/{total}' });
  bar.start(total, 0);
  for (let last = ''; ; ) {
    const accounts = await orm.em
      .fork()
      .find(
        Account,
        { ...ofOne, ...(last !== '' && { id: { $gt: last } }) },
        { orderBy: { id: 'asc' }, limit: ACCOUNTS_AT_ONCE, fields: ['shortId'] },
      );
    const end = accounts.at(-1);
    if (!end) break;
    await indexer.rebuild(accounts);
    bar.increment(accounts.length);
    last = end.id;
  }
  bar.stop();
}
