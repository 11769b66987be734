/**
 * npm run seed opens the demo companies. With --accounts N --transfers M it adds accounts and transfers for tests at
 * scale. All data goes through the use cases, so a seeded ledger is like any other ledger.
 */
import { randomInt } from 'node:crypto';
import { SingleBar } from 'cli-progress';
import { composeIBAN } from 'ibantools';
import { seedDemo } from '../application/seed-demo.js';
import { type Application, composeApplication, demoConfig } from '../composition-root.js';
import { loadConfig } from '../config.js';
import type { CreditTransferRequest } from '../domain/bulk-transfer.js';
import { PROGRAM } from '../domain/caller.js';
import { explained, requireMigrated } from '../infrastructure/database/migrations.js';
import { openDatabase } from '../infrastructure/database/open-database.js';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { NO_PUBLISHER } from '../infrastructure/outbox/outbox.js';
import { runProgram } from '../program.js';
import { readArguments } from './arguments.js';

const ACCOUNTS_MAX = 1_000_000;
const TRANSFERS_MAX = 100_000_000;
const BULK_TRANSFERS = 1_000;
const OPENING_BALANCE = '999999999.99';
const COUNTERPARTIES = ['Zoë Müller', 'Ørsted A/S', 'Αθηνά Παππά', 'Bip Bip', 'Jean Dupont'];

const USAGE = {
  call: 'npm run seed --',
  summary: `Opens the accounts of the demo companies, each once, in the database that DATABASE_URL names.
Options add random accounts and transfers, for trials at scale.`,
  options: {
    accounts: {
      type: 'string',
      default: '0',
      value: 'N',
      help: `accounts to open, up to ${ACCOUNTS_MAX}`,
    },
    transfers: {
      type: 'string',
      default: '0',
      value: 'N',
      help: `transfers to perform from these accounts, up to ${TRANSFERS_MAX}`,
    },
  },
} as const;

/** Returns the numbers of accounts and transfers. An invalid number is refused before anything is opened. */
function readCounts(): { readonly accounts: number; readonly transfers: number } {
  const values = readArguments(USAGE);
  const count = (name: 'accounts' | 'transfers', max: number) => {
    const text = values[name];
    const number = Number(text);
    if (!/^[0-9]+$/.test(text) || number > max) {
      throw new ExplainedError(`--${name} is ${text}; it must be a whole number up to ${max}`);
    }
    return number;
  };
  return {
    accounts: count('accounts', ACCOUNTS_MAX),
    transfers: count('transfers', TRANSFERS_MAX),
  };
}

/** Returns a Dutch IBAN of a bank that does not exist. */
function randomIban(): string {
  const bban = `TEST${String(randomInt(10 ** 10)).padStart(10, '0')}`;
  return composeIBAN({ countryCode: 'NL', bban }) ?? randomIban();
}

async function openAccounts(application: Application, count: number): Promise<string[]> {
  const ibans: string[] = [];
  const bar = new SingleBar({ format: 'accounts  [{bar}] {value}/{total}' });
  bar.start(count, 0);
  for (let number = 1; number <= count; number += 1) {
    const account = await application.openAccount(
      {
        organizationName: `Company ${number}`,
        iban: randomIban(),
        bic: 'TESTNL2AXXX',
        openingBalance: OPENING_BALANCE,
      },
      PROGRAM,
    );
    ibans.push(account.iban);
    bar.increment();
  }
  bar.stop();
  return ibans;
}

function randomTransfer(number: number): CreditTransferRequest {
  return {
    amount: `${randomInt(1, 100)}.${String(randomInt(100)).padStart(2, '0')}`,
    counterpartyName: COUNTERPARTIES[number % COUNTERPARTIES.length] ?? '',
    counterpartyIban: randomIban(),
    description: `Invoice ${number}`,
    endToEndId: `E2E-${number}`,
  };
}

async function performBulks(
  application: Application,
  ibans: readonly string[],
  transfers: number,
  bulkTransfersMax: number,
): Promise<void> {
  const bar = new SingleBar({ format: 'transfers [{bar}] {value}/{total}  {eta_formatted} left' });
  bar.start(transfers, 0);
  const size = Math.min(BULK_TRANSFERS, bulkTransfersMax);
  for (let done = 0, bulk = 0; done < transfers; bulk += 1) {
    const count = Math.min(size, transfers - done);
    await application.performBulkTransfer(
      {
        organizationIban: ibans[bulk % ibans.length] ?? '',
        creditTransfers: Array.from({ length: count }, (_, row) => randomTransfer(done + row)),
      },
      PROGRAM,
    );
    done += count;
    bar.update(done);
  }
  bar.stop();
}

await runProgram(async () => {
  const { accounts, transfers } = readCounts();
  const config = loadConfig();
  const database = await openDatabase(config);
  try {
    await requireMigrated(database);
    await explained(database, async () => {
      const demo = composeApplication(demoConfig(config), database, NO_PUBLISHER);
      const opened = await seedDemo(demo.openAccount);
      console.log(`demo companies: ${opened} created${opened === 0 ? ', all exist already' : ''}`);
      // Random data is sent once, so it has no keys.
      const settings = { ...config, requiresIdempotencyKey: false };
      const application = composeApplication(settings, database, NO_PUBLISHER);
      const needed = transfers > 0 ? Math.max(accounts, 1) : accounts;
      if (needed === 0) return;
      const ibans = await openAccounts(application, needed);
      await performBulks(application, ibans, transfers, config.bulkTransfersMax);
      console.log(`accounts: ${needed} opened\ntransfers: ${transfers} performed`);
    });
  } finally {
    await database.close();
  }
});
