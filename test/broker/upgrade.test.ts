/** Servers of the last release and of this one side by side, as during a rolling upgrade: see CONTRIBUTING, "Upgrades". */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { ACME, aBulk, aTransfer, GLOBEX } from '../support/builders.js';
import { buildLastRelease, type Release } from '../support/last-release.js';
import { runScript, type ServerProcess, startProcess } from '../support/process.js';
import { Receiver } from '../support/receiver.js';
import { subscribe } from '../support/subscriber.js';
import { createDatabase } from '../support/test-database.js';
import { registerWebhook } from '../support/webhooks.js';

const CLIENTS = 4;

/** The number of bulks that the servers of a step perform before the next step. */
const BULKS_OF_A_STEP = 40;

const TRANSFERS = `subscription ($iban: String!, $after: Cursor) {
  transferPerformed(accountIban: $iban, after: $after) { cursor transfer { description } }
}`;

let release: Release | undefined;

beforeAll(async () => {
  release = await buildLastRelease();
  if (!release)
    console.warn('*** NOT TESTED: rolling upgrade. The checkout has no release in its history.');
});

afterAll(() => release?.remove());

/** Clients that send bulks to any server of a deployment, until each was performed. */
class Load {
  readonly performed: string[] = [];
  readonly #refused: string[] = [];
  #isOver = false;
  #isAbandoned = false;
  #servers: readonly ServerProcess[] = [];
  readonly #clients = Array.from({ length: CLIENTS }, (_, client) => client);
  #running: Promise<unknown> = Promise.resolve();

  /** Lets the clients use these servers from now on, and waits until they have performed bulks. */
  async useServers(...servers: ServerProcess[]): Promise<void> {
    const isFirst = this.#servers.length === 0;
    this.#servers = servers;
    if (isFirst)
      this.#running = Promise.all(this.#clients.map((client) => this.#sendBulks(client)));
    const from = this.performed.length;
    await expect.poll(() => this.performed.length - from).toBeGreaterThan(BULKS_OF_A_STEP);
  }

  /** Sends the bulks in progress until they are performed. @returns what was answered instead */
  async end(): Promise<readonly string[]> {
    this.#isOver = true;
    await this.#running;
    return this.#refused;
  }

  /** Ends the clients, whatever they wait for. */
  async abandon(): Promise<void> {
    this.#isAbandoned = true;
    await this.end();
  }

  async #sendBulks(client: number): Promise<void> {
    for (let n = 0; !this.#isOver; n += 1) {
      const key = `${client}-${n}`;
      await this.#perform(key, client + n);
      // The other servers replay it.
      if (n % 5 === 0) await this.#perform(key, client + n + 1);
      else this.performed.push(key);
    }
  }

  async #perform(key: string, turn: number): Promise<void> {
    for (let attempt = turn; !this.#isAbandoned; attempt += 1) {
      const server = this.#servers[attempt % this.#servers.length];
      try {
        const { __typename, code } = await (server as ServerProcess).client.perform({
          ...aBulk([
            aTransfer({ amount: '0.01', description: key }),
            aTransfer({ amount: '0.02', description: key, counterpartyIban: GLOBEX }),
          ]),
          idempotencyKey: key,
        });
        if (__typename === 'BulkTransferPerformed') return;
        this.#refused.push(code);
        return;
      } catch {
        // A server that was stopped: the client takes another one.
        await sleep(10);
      }
    }
  }
}

test('a rolling upgrade under load loses, doubles and refuses nothing', async ({ skip }) => {
  if (!release) return skip();
  const database = await createDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url, AMQP_URL, STOP_LINGER_MS: '300', GRAPHIQL: 'false' };
  const startOld = () => startProcess({ ...env }, release?.program('main.js'));
  const created = await runScript(release.program('commands/migrate.js'), env);
  expect(created).toMatchObject({ code: 0 });
  const old = await startOld();
  const other = await startOld();
  const receiver = await Receiver.start();
  await registerWebhook(old.client, receiver, { events: ['BULK_TRANSFER_PERFORMED'] });
  const load = new Load();
  onTestFinished(() => load.abandon());
  await load.useServers(old, other);
  const { account } = await old.client.data(
    `{ account(iban: "${ACME}") { transfers(last: 1) { edges { cursor } } } }`,
  );
  const after = account.transfers.edges[0].cursor;

  const migrated = await runScript('dist/commands/migrate.js', env);
  expect(migrated).toMatchObject({ code: 0 });
  await load.useServers(old, other);
  const first = await startProcess(env);
  await load.useServers(old, other, first);
  await load.useServers(old, first);
  expect(await other.stop()).toBe(0);
  const second = await startProcess(env);
  await load.useServers(old, first, second);
  // The old server reads the rows that new servers write, from a cursor that it issued.
  const ofOld = subscribe(old.url, TRANSFERS, { iban: ACME, after });
  const ofNew = subscribe(first.url, TRANSFERS, { iban: ACME, after });
  await load.useServers(old, first, second);
  await load.useServers(first, second);
  const refused = await load.end();

  const { performed } = load;
  expect(refused).toEqual([]);
  for (const { events } of [ofOld, ofNew]) {
    await expect.poll(() => events.length).toBe(2 * (await bulkCountOf(first)) - 1);
  }
  expect(ofOld.events).toEqual(ofNew.events);
  const described = new Set(ofNew.events.map(({ transfer }) => transfer.description));
  expect(performed.filter((key) => !described.has(key))).toEqual([]);
  await expect.poll(() => new Set(receiver.ids).size).toBe(await bulkCountOf(first));
  for (const server of [old, first, second]) expect(await server.stop()).toBe(0);
  const verified = await runScript('dist/commands/verify.js', { DATABASE_URL: database.url });
  expect(verified).toMatchObject({ code: 0, output: expect.stringContaining('0 violated') });
});

async function bulkCountOf({ client }: ServerProcess): Promise<number> {
  const { account } = await client.data(
    `{ account(iban: "${ACME}") { bulkTransfers { totalCount } } }`,
  );
  return account.bulkTransfers.totalCount;
}
