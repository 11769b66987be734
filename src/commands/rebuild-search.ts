/** npm run search:rebuild makes the search tables anew from the ledger. */
import { SingleBar } from 'cli-progress';
import { loadConfig } from '../config.js';
import { UnavailableError } from '../domain/errors.js';
import { normaliseIban } from '../domain/iban.js';
import { Account } from '../entities/account.entity.js';
import type { Database } from '../infrastructure/database/dialect.js';
import { assertMigrated, explained } from '../infrastructure/database/migrations.js';
import { openDatabase } from '../infrastructure/database/open-database.js';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { makeLogger } from '../infrastructure/observability/logger.js';
import { reasonOf } from '../infrastructure/observability/secrets.js';
import { Indexer } from '../infrastructure/search/indexer.js';
import { runProgram } from '../program.js';
import { readArguments } from './arguments.js';

/** MariaDB ends a statement after this time, so that a table that somebody else locks ends the command. */
const STATEMENT_TIMEOUT_MS = 600_000;

/** The number of accounts that are rebuilt at once. */
const ACCOUNTS_AT_ONCE = 100;

/** The fields of an account that a rebuild needs. */
const FIELDS = ['iban', 'shortId'] as const;

const USAGE = {
  call: 'npm run search:rebuild --',
  summary: `Makes the search tables of the ledger that DATABASE_URL names anew. With MySQL or MariaDB, a server may run at
the same time. The server of an embedded database must be stopped.`,
  options: {
    account: { type: 'string', value: 'IBAN', help: 'rebuild this account alone' },
    after: { type: 'string', value: 'IBAN', help: 'continue after this account' },
  },
} as const;

await runProgram(async () => {
  const { account, after } = readArguments(USAGE);
  const config = loadConfig();
  const database = await openDatabase({ ...config, statementTimeoutMs: STATEMENT_TIMEOUT_MS });
  try {
    await assertMigrated(database);
    await explained(database, async () => {
      const indexer = new Indexer(database, makeLogger(config.logLevel));
      if (account !== undefined) {
        await rebuild(indexer, [await accountOf(database, account)], 'The account is not rebuilt');
      } else {
        const last = after === undefined ? undefined : await accountOf(database, after);
        await rebuildAll(database, indexer, last?.id);
      }
    });
  } finally {
    await database.close();
  }
});

type RebuiltAccount = Pick<Account, 'id' | 'iban' | 'shortId'>;

/** @throws ExplainedError if no account has the IBAN */
async function accountOf({ orm }: Database, iban: string): Promise<RebuiltAccount> {
  const where = { iban: normaliseIban(iban) };
  const account = await orm.em.fork().findOne(Account, where, { fields: FIELDS });
  if (!account) throw new ExplainedError(`No account has the IBAN ${iban}.`);
  return account;
}

/** Rebuilds the accounts after an account in the order of their ids, or all. */
async function rebuildAll(database: Database, indexer: Indexer, lastId?: string): Promise<void> {
  const { orm } = database;
  if (lastId === undefined) await indexer.removeOrphans();
  const total = await orm.em.fork().count(Account, afterId(lastId));
  const bar = new SingleBar({ format: 'accounts [{bar}] {value}/{total}' });
  bar.start(total, 0);
  try {
    let last: Pick<RebuiltAccount, 'id' | 'iban'> | undefined;
    for (;;) {
      const accounts: RebuiltAccount[] = await orm.em
        .fork()
        .find(Account, afterId(last?.id ?? lastId), {
          orderBy: { id: 'asc' },
          limit: ACCOUNTS_AT_ONCE,
          fields: FIELDS,
        });
      if (accounts.length === 0) return;
      const done = last ? `To continue, add --after ${last.iban}` : 'No account is rebuilt';
      await rebuild(indexer, accounts, done);
      bar.increment(accounts.length);
      last = accounts.at(-1);
    }
  } finally {
    bar.stop();
  }
}

function afterId(id: string | undefined): { id?: { $gt: string } } {
  return id === undefined ? {} : { id: { $gt: id } };
}

/** @throws ExplainedError with the reason of the database and what is done, if the database refuses the rebuild */
async function rebuild(
  indexer: Indexer,
  accounts: readonly RebuiltAccount[],
  done: string,
): Promise<void> {
  try {
    await indexer.rebuild(accounts);
  } catch (error) {
    const reason = reasonOf(error instanceof UnavailableError ? (error.cause ?? error) : error);
    throw new ExplainedError(`The search tables cannot be written: ${reason}. ${done}.`, {
      cause: error,
    });
  }
}
