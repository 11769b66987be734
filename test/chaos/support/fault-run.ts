/**
 * Runs servers under load, injects a fault repeatedly, and then checks the outcome. The ledger's invariants hold; every
 * acknowledged request was done once, and no refused one was done; the outbox is empty; consumers have every event;
 * each follower has the committed sequence, complete and in order.
 */
import { expect } from 'vitest';
import { ibanOf } from '../../support/builders.js';
import { Client } from '../../support/client.js';
import { type Consumer, startConsumer } from '../../support/consumer.js';
import { runScript } from '../../support/process.js';
import { CHAOS_SEED, Random, rounds } from '../../support/seeded-random.js';
import { audit, FIRST_DESCRIPTION } from './audit.js';
import { type Fleet, startFleet } from './fleet.js';
import { type Follower, startFollower } from './follower.js';
import { type Load, newIbans, openAccounts, startLoad } from './load.js';

export interface FaultPlan {
  readonly databaseUrl: string;
  /** The in-process broker is used if this is empty. */
  readonly amqpUrl?: string;
  readonly servers?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly roundsMin: number;
  /** Causes one fault and ends it. */
  readonly injectFault: (run: FaultRun) => Promise<void>;
}

export interface FaultRun {
  readonly fleet: Fleet;
  readonly load: Load;
  readonly random: Random;
  readonly ibans: readonly string[];
}

const CLIENTS = 6;
const ACCOUNTS = 3;

/** A killed relay holds its messages until its lease ends; the next relay finds them at its poll. */
const DRAINED_MAX_MS = 120_000;

/** @returns the run, after all checks */
export async function runWithFaults(name: string, plan: FaultPlan): Promise<FaultRun> {
  const { databaseUrl, amqpUrl = '', servers = 1, roundsMin, injectFault } = plan;
  const env = { DATABASE_URL: databaseUrl, AMQP_URL: amqpUrl, SEED_DEMO: 'false', ...plan.env };
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
  const run = { fleet, load, random: randomOf('faults'), ibans };
  await load.untilMore(20);
  let injected = 0;
  for (const round of rounds(roundsMin)) {
    await injectFault(run);
    injected = round + 1;
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
  if (amqpUrl) await expectAllEvents(consumers, committed);
  report(name, run, injected, followers);
  expect(await fleet.stop()).toEqual(Array(servers).fill(0));
  expect(fleet.crashes).toEqual([]);
  expect(fleet.stderrOutput).toEqual([]);
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
  return run;
}

/** Starts consumers of the accounts' bulks, transfers and credits. */
const startConsumers = (ibans: readonly string[]) =>
  Promise.all(ibans.map((iban) => startConsumer(`*.*.${iban}`)));

/** Performs a first transfer. @returns its cursor, which precedes everything that comes later */
async function firstCursor(client: Client, iban: string): Promise<string> {
  const row = { amount: '0.01', counterpartyName: 'Bip Bip', counterpartyIban: ibanOf(1) };
  const { performBulkTransfer } = await client.data(
    `mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) {
      ... on BulkTransferPerformed { account { transfers(first: 1) { edges { cursor } } } }
    } }`,
    {
      input: {
        organizationIban: iban,
        creditTransfers: [{ ...row, description: FIRST_DESCRIPTION }],
      },
    },
  );
  return performBulkTransfer.account.transfers.edges[0].cursor;
}

async function untilDrained(client: Client): Promise<void> {
  const counts = async () => (await client.data('{ outbox { due parked } }')).outbox;
  await expect.poll(counts, { timeout: DRAINED_MAX_MS }).toEqual({ due: 0, parked: 0 });
}

/** Waits until the consumers have every event. Consumers count by message id, so a repeated publication counts once. */
async function expectAllEvents(
  consumers: readonly Consumer[],
  { bulks, transfers, credits }: Awaited<ReturnType<typeof audit>>,
): Promise<void> {
  const receivedIds = () =>
    new Set(consumers.flatMap(({ received }) => received.map(({ messageId }) => messageId)));
  const published = [...bulks, ...credits, ...[...transfers.values()].flat()];
  const missingIds = () => {
    const ids = receivedIds();
    return published.filter((id) => !ids.has(id));
  };
  await expect.poll(missingIds).toEqual([]);
}

/** Prints one line with the numbers of the run. */
function report(
  name: string,
  { load, fleet }: FaultRun,
  injected: number,
  followers: ReadonlyMap<string, Follower>,
): void {
  const { unreachable, masked, unavailable, busy } = load.indefinite;
  const resumptions = [...followers.values()].reduce((sum, each) => sum + each.resumptions, 0);
  console.log(
    `${name}: seed ${CHAOS_SEED}, injected ${injected} times, ${load.answered.length} requests answered; before that ${unreachable} unreachable, ${masked} masked, ${unavailable} unavailable, ${busy} busy; ${resumptions} subscriptions resumed, ${fleet.errors.length} errors logged`,
  );
}
