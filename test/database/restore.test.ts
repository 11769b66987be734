/** Backups that are taken under load, and restored: see docs/operations.md, "Backup and restore". */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import { ACME, aBulk, transfersOf } from '../support/builders.js';
import { type MariaDb, missingMariaDb, startMariaDb } from '../support/mariadb.js';
import { runScript, type ServerProcess, startProcess } from '../support/process.js';
import { subscribe } from '../support/subscriber.js';
import { DIALECT } from '../support/test-database.js';

const run = promisify(execFile);

const CLIENTS = 4;

/** Does what `sqlite3 FILE "vacuum into 'COPY'"` does. */
const VACUUM = `
  const { DatabaseSync } = require('node:sqlite');
  const [, file, copy] = process.argv;
  new DatabaseSync(file, { readOnly: true }).exec("vacuum into '" + copy + "'");`;

const TRANSFERS = `subscription ($iban: String!, $after: Cursor) {
  transferPerformed(accountIban: $iban, after: $after) { transfer { description } } }`;

/** A bulk that a server acknowledged. */
interface Acknowledged {
  readonly key: string;
  readonly sentAt: number;
  readonly answeredAt: number;
}

const bulkOf = (key: string) => ({ ...aBulk(transfersOf(10, '0.01')), idempotencyKey: key });

/** Sends bulks until it is told to end. */
class Load {
  readonly acknowledged: Acknowledged[] = [];
  #isOver = false;
  readonly #clients: readonly Promise<void>[];

  constructor(server: ServerProcess) {
    this.#clients = Array.from({ length: CLIENTS }, (_, client) => this.#send(server, client));
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#clients);
  }

  /** Waits until some more bulks were acknowledged. */
  async goOn(): Promise<void> {
    const count = this.acknowledged.length;
    await expect.poll(() => this.acknowledged.length).toBeGreaterThan(count + 5 * CLIENTS);
  }

  async #send({ client }: ServerProcess, number: number): Promise<void> {
    for (let n = 0; !this.#isOver; n += 1) {
      const key = `${number}-${n}`;
      const sentAt = Date.now();
      const { __typename } = await client.perform(bulkOf(key));
      expect(__typename).toBe('BulkTransferPerformed');
      this.acknowledged.push({ key, sentAt, answeredAt: Date.now() });
    }
  }
}

async function aFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-restore-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  return folder;
}

async function newestCursor({ client }: ServerProcess): Promise<string> {
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { transfers(first: 1) { edges { cursor } } } }`,
  );
  return account.transfers.edges[0].cursor;
}

/** The bulks and cursors of clients, on both sides of the moment to which a ledger is restored. */
interface Clients {
  readonly kept: readonly Acknowledged[];
  readonly lost: readonly Acknowledged[];
  readonly keptCursor: string;
  readonly lostCursor: string;
}

/** Checks a restored ledger as the clients find it. */
async function expectRestored(databaseUrl: string, clients: Clients): Promise<void> {
  const { kept, lost, keptCursor, lostCursor } = clients;
  expect(kept.length).toBeGreaterThan(0);
  expect(lost.length).toBeGreaterThan(0);
  const env = { DATABASE_URL: databaseUrl };
  const verified = await runScript('dist/commands/verify.js', env);
  expect(verified).toMatchObject({ code: 0, output: expect.stringContaining('0 violated') });

  const server = await startProcess(env);
  const resumed = subscribe(server.url, TRANSFERS, { iban: ACME, after: keptCursor });
  const refused = subscribe(server.url, TRANSFERS, { iban: ACME, after: lostCursor });
  await expect
    .poll(() => refused.errors)
    .toMatchObject([{ extensions: { code: 'UNKNOWN_CURSOR' } }]);
  // Clients send their bulks again: those that were kept are replayed, and those that were lost are performed.
  for (const { key } of kept) {
    expect((await server.client.perform(bulkOf(key))).replayed, key).toBe(true);
  }
  for (const { key } of lost) {
    expect((await server.client.perform(bulkOf(key))).replayed, key).toBe(false);
  }
  await expect.poll(() => resumed.events.length).toBeGreaterThanOrEqual(10 * lost.length);
  expect(resumed.errors).toEqual([]);
  expect(await server.stop()).toBe(0);
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
}

test.runIf(DIALECT === 'sqlite')('a backup of SQLite under load is a complete ledger', async () => {
  const folder = await aFolder();
  const [file, copy] = [join(folder, 'virement.db'), join(folder, 'copy.db')];
  const server = await startProcess({ DATABASE_URL: `sqlite:${file}` });
  const load = new Load(server);
  await load.goOn();
  const keptCursor = await newestCursor(server);

  const startedAt = Date.now();
  // A process of its own, so that the clients go on.
  await run(process.execPath, ['--eval', VACUUM, file, copy]);
  const endedAt = Date.now();

  await load.goOn();
  await load.end();
  const lostCursor = await newestCursor(server);
  await server.kill();
  const { acknowledged } = load;
  await expectRestored(`sqlite:${copy}`, {
    kept: acknowledged.filter(({ answeredAt }) => answeredAt < startedAt),
    lost: acknowledged.filter(({ sentAt }) => sentAt > endedAt),
    keptCursor,
    lostCursor,
  });
});

test.runIf(DIALECT === 'mysql' && (await missingMariaDb()) === undefined)(
  'a MariaDB is restored to a moment from a dump and its binary log',
  async () => {
    const folder = await aFolder();
    const origin = await startMariaDb(['--log-bin=binlog', '--server-id=1']);
    await origin.run('create database bank');
    const env = { DATABASE_URL: `${origin.url}/bank` };
    expect(await runScript('dist/commands/migrate.js', env)).toMatchObject({ code: 0 });
    const server = await startProcess(env);
    const load = new Load(server);
    await load.goOn();

    const dump = join(folder, 'full.sql');
    const dumpOptions = [
      '--single-transaction',
      '--hex-blob',
      '--master-data=2',
      '--databases',
      'bank',
    ];
    await run('mariadb-dump', [...at(origin), ...dumpOptions, `--result-file=${dump}`]);
    await load.goOn();
    const keptCursor = await newestCursor(server);
    // The binary log is read by whole seconds.
    const moment = new Date(Math.ceil(Date.now() / 1_000) * 1_000);
    await sleep(moment.getTime() - Date.now() + 1_000);
    await load.goOn();
    await load.end();
    const lostCursor = await newestCursor(server);
    await server.kill();

    const restored = await startMariaDb();
    await execute(restored, dump);
    const [, log = '', position = ''] =
      /MASTER_LOG_FILE='([^']+)', MASTER_LOG_POS=([0-9]+)/.exec(await readFile(dump, 'utf8')) ?? [];
    const changes = join(folder, 'changes.sql');
    const binlogOptions = [
      '--read-from-remote-server',
      '--to-last-log',
      `--start-position=${position}`,
      `--stop-datetime=${moment.toISOString().slice(0, 19).replace('T', ' ')}`,
      '--database=bank',
      `--result-file=${changes}`,
    ];
    // The time to stop at is read in the time zone of the machine.
    const inUtc = { env: { ...process.env, TZ: 'UTC' } };
    await run('mariadb-binlog', [...at(origin), ...binlogOptions, log], inUtc);
    await execute(restored, changes);
    const { acknowledged } = load;
    await expectRestored(`${restored.url}/bank`, {
      kept: acknowledged.filter(({ answeredAt }) => answeredAt < moment.getTime()),
      lost: acknowledged.filter(({ sentAt }) => sentAt > moment.getTime()),
      keptCursor,
      lostCursor,
    });
  },
);

const at = ({ port }: MariaDb) => [
  '--no-defaults',
  '--host=127.0.0.1',
  `--port=${port}`,
  '--user=root',
];

/** Lets a MariaDB execute the statements of a file. */
const execute = (mariaDb: MariaDb, file: string) =>
  run('sh', ['-c', 'exec mariadb "$@" <"$0"', file, ...at(mariaDb)]);
