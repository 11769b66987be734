import { describe, expect, onTestFinished, test } from 'vitest';
import { ACME, aBulk, aTransfer, ibanOf } from '../support/builders.js';
import { canRun } from '../support/can-run.js';
import { type MariaDb, missingMariaDb, startMariaDb } from '../support/mariadb.js';
import { runScript } from '../support/process.js';
import { startServerOn, type TestServer } from '../support/server.js';
import { createDatabaseOn, DIALECT, migrate } from '../support/test-database.js';

/** Settings that a server may have and that the ledger must not depend on. */
const STRANGE_SETTINGS = [
  '--character-set-server=latin1',
  '--skip-character-set-client-handshake',
  '--max-allowed-packet=1M',
  '--sql-mode=NO_BACKSLASH_ESCAPES',
  '--autocommit=0',
  '--completion-type=CHAIN',
  '--default-time-zone=+05:00',
  '--transaction-isolation=SERIALIZABLE',
];

async function startOn(settings: readonly string[]): Promise<{
  server: TestServer;
  mariaDb: MariaDb;
}> {
  const mariaDb = await startMariaDb(settings);
  const url = await createDatabaseOn(mariaDb.url);
  await migrate(url);
  const server = await startServerOn({ url, drop: async () => {} });
  onTestFinished(() => server.close());
  return { server, mariaDb };
}

/** Returns rows with the longest allowed texts, in letters of two bytes. */
const longRows = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    aTransfer({
      amount: '0.01',
      counterpartyIban: ibanOf(index),
      counterpartyName: 'Ë'.repeat(70),
      description: 'ë'.repeat(140),
    }),
  );

describe.runIf(DIALECT === 'mysql' && canRun('a database of its own', await missingMariaDb()))(
  'a server on a database with unusual defaults',
  () => {
    test('stores texts unchanged', async () => {
      const { server, mariaDb } = await startOn(STRANGE_SETTINGS);
      const texts = { counterpartyName: 'Zoë', description: 'Smørrebrød \\ "2" \'x\'' };

      const { bulkTransfer } = await server.client.perform(aBulk([aTransfer(texts)]));

      expect(bulkTransfer.transfers.nodes).toMatchObject([texts]);
      const database = server.databaseUrl.split('/').at(-1);
      const stored = `select hex(counterparty_name) as name, hex(description) as description from ${database}.transfer`;
      expect(await mariaDb.run(stored)).toEqual([
        { name: hexOf(texts.counterpartyName), description: hexOf(texts.description) },
      ]);
    });

    test('performs a bulk that is larger than one statement may be', async () => {
      const { server } = await startOn(STRANGE_SETTINGS);

      const performed = await server.client.perform(aBulk(longRows(3_000)));

      expect(performed).toMatchObject({
        __typename: 'BulkTransferPerformed',
        bulkTransfer: { transferCount: 3_000 },
      });
      expect(await server.client.balance(ACME)).toBe('99970.00');
    });

    test('refuses to start if the database would refuse a statement that it needs', async () => {
      const mariaDb = await startMariaDb(['--max-allowed-packet=1M']);
      const url = await createDatabaseOn(mariaDb.url);
      await migrate(url);

      expect(
        await runScript('dist/main.js', {
          DATABASE_URL: url,
          PORT: '0',
          BULK_TRANSFERS_MAX: '90000',
        }),
      ).toEqual({
        code: 1,
        output:
          "The database server's max_allowed_packet is 1048576: raise it to at least 5760000, or lower BULK_TRANSFERS_MAX.\n",
      });
    });

    test('refuses to start if the binary log refuses writes at READ COMMITTED', async () => {
      const mariaDb = await startMariaDb(['--log-bin', '--binlog-format=STATEMENT']);
      const url = await createDatabaseOn(mariaDb.url);

      expect(await runScript('dist/main.js', { DATABASE_URL: url, PORT: '0' })).toEqual({
        code: 1,
        output: expect.stringMatching(/^The database server's binlog_format is STATEMENT.*\n$/),
      });
    });
  },
);

function hexOf(text: string): string {
  return Buffer.from(text).toString('hex').toUpperCase();
}
