/**
 * Measures how fast the events of transfers reach the receivers of webhooks, and what the deliveries cost other callers.
 * Server, receiver and load client are processes of their own, on one machine; run the program on a quiet one.
 *
 *   npm run bench:webhooks [-- --database sqlite|mariadb --transfers 10000 --webhooks 10 --bulks 100] [--probe]
 *     [--node-option OPTION]
 *
 * The first part performs one bulk for one webhook. The second part performs bulks of one transfer for several webhooks,
 * one of which answers each call after 5 seconds. With --probe another process performs bulks of one transfer of another
 * account during the first part.
 *
 * Lag runs from the event's time, which the server sets just before the commit, until the receiver has the head of the
 * call. Both processes read the same clock.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { BULK_ACCOUNT, bulkRequest, HOT_ACCOUNT } from './harness/bulk-requests.ts';
import { startLoadClient } from './harness/load-client.ts';
import { describeMachine, machineLine } from './harness/machine.ts';
import { logProgress, runProgram } from './harness/program.ts';
import { percentile, roundToTenth } from './harness/statistics.ts';
import {
  SLOW_PATH,
  startWebhookReceiver,
  type WebhookReceiver,
} from './harness/webhook-receiver.ts';
import { createLedger, parseLedgerDatabase, verifyLedger } from './subjects/virement/ledger.ts';
import { probeDuring } from './subjects/virement/probe.ts';
import { PERFORM, PERFORMED } from './subjects/virement/requests.ts';
import { VirementServer } from './subjects/virement/server.ts';

const MINUTES_MAX = 15;
const DELIVERED_MAX_MS = 120_000;
const DELIVERED_POLL_MS = 20;
const PAUSE_BETWEEN_BULKS_MS = 50;
/** The probe measures the server without deliveries for this time. */
const QUIET_MS = 3_000;

const { values: options } = parseArgs({
  options: {
    database: { type: 'string', default: 'sqlite' },
    transfers: { type: 'string', default: '10000' },
    webhooks: { type: 'string', default: '10' },
    bulks: { type: 'string', default: '100' },
    probe: { type: 'boolean', default: false },
    'node-option': { type: 'string', multiple: true, default: [] },
  },
});
const kind = parseLedgerDatabase(options.database);
const transfers = Number(options.transfers);
const webhookCount = Number(options.webhooks);
const bulks = Number(options.bulks);

const REGISTER = `mutation ($input: RegisterWebhookInput!) { registerWebhook(input: $input) {
  ... on WebhookRegistered { webhook { id } } } }`;
const DELETE = 'mutation ($id: ID!) { deleteWebhook(id: $id) { __typename } }';
const PENDING = `query ($id: ID!) { webhook(id: $id) {
  deliveries(first: 1, status: PENDING) { nodes { id } } } }`;

/** Registers a webhook for the transfers of the account that sends bulks. @returns its id */
async function register(server: VirementServer, url: string): Promise<string> {
  const input = { url, events: ['TRANSFER_PERFORMED'], accountIbans: [BULK_ACCOUNT] };
  const answer = await server.ask(REGISTER, { input });
  const id = JSON.parse(answer).data?.registerWebhook?.webhook?.id;
  if (!id) throw new Error(answer);
  return id;
}

async function perform(server: VirementServer, transferCount: number): Promise<void> {
  const answer = await server.ask(PERFORM, { input: bulkRequest(BULK_ACCOUNT, transferCount) });
  if (!answer.includes(PERFORMED)) throw new Error(answer);
}

/** Waits until a condition holds. @throws Error when the time limit of a delivery is over */
async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + DELIVERED_MAX_MS;
  while (!(await condition())) {
    if (Date.now() > deadline) throw new Error('Deliveries are not complete in time');
    await sleep(DELIVERED_POLL_MS);
  }
}

/** Waits until a path has received a number of events, and each delivery of its webhook is recorded. */
async function untilDelivered(
  server: VirementServer,
  receiver: WebhookReceiver,
  webhook: { readonly id: string; readonly path: string },
  count: number,
): Promise<void> {
  await until(async () => {
    const { lagsMs } = await receiver.run({ isReset: false });
    return (lagsMs[webhook.path]?.length ?? 0) >= count;
  });
  await until(async () =>
    (await server.ask(PENDING, { id: webhook.id })).includes('"deliveries":{"nodes":[]}'),
  );
}

/** Measures one bulk for one webhook. @returns the lines of the table */
async function measureOneBulk(server: VirementServer, receiver: WebhookReceiver): Promise<object> {
  const { origin } = await receiver.run({ isReset: true });
  const webhook = { id: await register(server, `${origin}/fast`), path: '/fast' };
  const client = options.probe ? startLoadClient() : undefined;
  const withProbe = async (work: Promise<void>) =>
    client ? probeDuring(client, server.origin, work) : await work.then(() => []);
  await perform(server, 1);
  await untilDelivered(server, receiver, webhook, 1);
  const quietMs = await withProbe(sleep(QUIET_MS));
  await receiver.run({ isReset: true });
  // The probe begins after the commit of the bulk, so it measures the deliveries alone.
  await perform(server, transfers);
  const committedAt = performance.now();
  let elapsedMs = 0;
  const probedMs = await withProbe(
    untilDelivered(server, receiver, webhook, transfers).then(() => {
      elapsedMs = performance.now() - committedAt;
    }),
  );
  const { lagsMs, calls } = await receiver.run({ isReset: true });
  const lags = lagsMs[webhook.path] ?? [];
  await server.ask(DELETE, { id: webhook.id });
  return {
    'transfers of one bulk': transfers,
    'calls, with repetitions': calls,
    'deliveries recorded per second': Math.round((transfers / elapsedMs) * 1_000),
    'lag p50, ms': percentile(lags, 0.5),
    'lag p99, ms': percentile(lags, 0.99),
    ...(client && {
      'a bulk of another account before, p50, ms': roundToTenth(percentile(quietMs, 0.5)),
      'before, p99, ms': roundToTenth(percentile(quietMs, 0.99)),
      'during deliveries, p50, ms': roundToTenth(percentile(probedMs, 0.5)),
      'during deliveries, p99, ms': roundToTenth(percentile(probedMs, 0.99)),
    }),
  };
}

/** Measures bulks of one transfer for several webhooks, one of which is slow. @returns the lines of the table */
async function measureSlowNeighbour(
  server: VirementServer,
  receiver: WebhookReceiver,
): Promise<object> {
  const { origin } = await receiver.run({ isReset: true });
  // The slow receiver has an origin of its own: webhooks of one origin share its connections.
  const slow = await startWebhookReceiver().run({ isReset: true });
  await register(server, `${slow.origin}${SLOW_PATH}`);
  const healthy: { id: string; path: string }[] = [];
  for (let at = 1; at < webhookCount; at += 1) {
    const path = `/fast-${at}`;
    healthy.push({ id: await register(server, `${origin}${path}`), path });
  }
  for (let performed = 0; performed < bulks; performed += 1) {
    await perform(server, 1);
    await sleep(PAUSE_BETWEEN_BULKS_MS);
  }
  for (const webhook of healthy) await untilDelivered(server, receiver, webhook, bulks);
  const { lagsMs } = await receiver.run({ isReset: true });
  const lags = healthy.flatMap(({ path }) => lagsMs[path] ?? []);
  return {
    'webhooks, one of them slow': webhookCount,
    'bulks of one transfer': bulks,
    'lag of the healthy webhooks p50, ms': percentile(lags, 0.5),
    'lag of the healthy webhooks p99, ms': percentile(lags, 0.99),
  };
}

async function measureWebhooks(): Promise<void> {
  const { url } = await createLedger(kind, 'webhooks');
  const server = await VirementServer.start(url, {
    hasAuthentication: false,
    nodeOptions: options['node-option'],
  });
  for (const iban of [BULK_ACCOUNT, HOT_ACCOUNT]) await server.openAccount(iban);
  const receiver = startWebhookReceiver();
  logProgress(`one bulk of ${transfers} for one webhook`);
  const oneBulk = await measureOneBulk(server, receiver);
  const resident = await server.resident();
  logProgress(`${bulks} bulks of one transfer for ${webhookCount} webhooks, one of them slow`);
  const slowNeighbour = await measureSlowNeighbour(server, receiver);
  await server.stop();
  logProgress('verify');
  await verifyLedger(url);
  console.log(machineLine(describeMachine()));
  console.table({
    database: kind,
    ...oneBulk,
    'server RSS peak after that bulk, MB': Math.round(resident?.peak ?? 0),
    ...slowNeighbour,
  });
}

await runProgram(MINUTES_MAX, measureWebhooks);
