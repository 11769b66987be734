/**
 * Servers under load while something goes wrong again and again, and what must hold when it is over:
 * the ledger's invariants; all that was acknowledged, once; nothing that was refused; the outbox empty;
 * every event with the consumers; and with each follower the committed sequence, whole and in order.
 */
import { expect } from 'vitest';
import { audit, FIRST } from './audit.js';
import { ibanOf } from './builders.js';
import { Client } from './client.js';
import { type Consumer, startConsumer } from './consumer.js';
import { type Fleet, startFleet } from './fleet.js';
import { type Follower, startFollower } from './follower.js';
import { type Load, newIbans, openAccounts, startLoad } from './load.js';
import { runScript } from './process.js';
import { CHAOS_SEED, Random, rounds } from './schedule.js';

export interface Trouble {
  readonly databaseUrl: string;
  /** Empty: the in-process broker. */
  readonly amqpUrl?: string;
  readonly servers?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly roundsMin: number;
  /** What goes wrong, and ends, in one round. */
  readonly strike: (ordeal: Ordeal) => Promise<void>;
}

export interface Ordeal {
  readonly fleet: Fleet;
  readonly load: Load;
  readonly random: Random;
  readonly ibans: readonly string[];
}

const CLIENTS = 6;
const ACCOUNTS = 3;

/** A relay that was killed holds its messages for a lease; the next one finds them at its poll. */
const DRAINED_MAX_MS = 120_000;

/** @returns how it went */
export async function endure(name: string, trouble: Trouble): Promise<Ordeal> {
  const { databaseUrl, amqpUrl = '', servers = 1, roundsMin, strike } = trouble;
  const env = { DATABASE_URL: databaseUrl, AMQP_URL: amqpUrl, SEED_DEMO: 'false', ...trouble.env };
  const fleet = await startFleet(servers, env);
  const ibans = newIbans(ACCOUNTS);
  const consumers = amqpUrl ? await startConsumers(ibans) : [];
  await openAccounts(new Client(fleet.urls[0] ?? ''), ibans);
  const randomOf = (part: string) => new Random(`${name} ${part}`);
  const urls = () => fleet.urls;
  const followers = new Map<string, Follower>();
  for (const iban of ibans) {
    const after = await firstCursor(new Client(fleet.urls[0] ?? ''), iban);
    followers.set(iban, startFollower(urls, iban, after, randomOf(`follower ${iban}`)));
  }

  const load = startLoad({ clients: CLIENTS, ibans, urls, randomOf });
  const ordeal = { fleet, load, random: randomOf('strikes'), ibans };
  await load.untilMore(20);
  let struck = 0;
  for (const round of rounds(roundsMin)) {
    await strike(ordeal);
    struck = round + 1;
  }
  await fleet.untilUp();
  await load.untilMore(20);
  await load.stop();

  const client = new Client(fleet.urls[0] ?? '');
  await untilDrained(client);
  const committed = await audit(client, load, ibans);
  for (const [iban, follower] of followers) {
    const transfers = committed.transfers.get(iban)?.slice(1) ?? [];
    await expect.poll(() => follower.seen.length).toBeGreaterThanOrEqual(transfers.length);
    expect(follower.seen).toEqual(transfers);
  }
  if (amqpUrl) await expectHeard(consumers, committed);
  report(name, ordeal, struck, followers);
  expect(await fleet.stop()).toEqual(Array(servers).fill(0));
  expect(fleet.crashes).toEqual([]);
  expect(fleet.complaints).toEqual([]);
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
  return ordeal;
}

/** Its bulks, transfers and credits. */
const startConsumers = (ibans: readonly string[]) =>
  Promise.all(ibans.map((iban) => startConsumer(`*.*.${iban}`)));

/** Performs a first transfer: the place before everything that comes. */
async function firstCursor(client: Client, iban: string): Promise<string> {
  const row = { amount: '0.01', counterpartyName: 'Bip Bip', counterpartyIban: ibanOf(1) };
  const { performBulkTransfer } = await client.data(
    `mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) {
      ... on BulkTransferPerformed { account { transfers(first: 1) { edges { cursor } } } }
    } }`,
    { input: { organizationIban: iban, creditTransfers: [{ ...row, description: FIRST }] } },
  );
  return performBulkTransfer.account.transfers.edges[0].cursor;
}

async function untilDrained(client: Client): Promise<void> {
  const counts = async () => (await client.data('{ outbox { due parked } }')).outbox;
  await expect.poll(counts, { timeout: DRAINED_MAX_MS }).toEqual({ due: 0, parked: 0 });
}

/** Consumers count by message id: what was published twice is one. */
async function expectHeard(
  consumers: readonly Consumer[],
  { bulks, transfers, credits }: Awaited<ReturnType<typeof audit>>,
): Promise<void> {
  const heard = () =>
    new Set(consumers.flatMap(({ received }) => received.map(({ messageId }) => messageId)));
  const published = [...bulks, ...credits, ...[...transfers.values()].flat()];
  const unheard = () => {
    const ids = heard();
    return published.filter((id) => !ids.has(id));
  };
  await expect.poll(unheard).toEqual([]);
}

/** One line for whoever runs it at length. */
function report(
  name: string,
  { load, fleet }: Ordeal,
  struck: number,
  followers: ReadonlyMap<string, Follower>,
): void {
  const { unreachable, masked, unavailable, busy } = load.indefinite;
  const resumptions = [...followers.values()].reduce((sum, each) => sum + each.resumptions, 0);
  console.log(
    `${name}: seed ${CHAOS_SEED}, struck ${struck} times, ${load.answered.length} requests answered; before that ${unreachable} unreachable, ${masked} masked, ${unavailable} unavailable, ${busy} busy; ${resumptions} subscriptions resumed, ${fleet.errors.length} errors logged`,
  );
}
