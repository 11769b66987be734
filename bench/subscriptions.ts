/**
 * Measures how fast events reach subscribers, and at what cost: WebSocket clients follow one account while
 * bulks are performed. The server is a process of its own, the subscribers are this one, on one machine;
 * run the program on a quiet one.
 *
 *   npm run bench:subscriptions [-- --subscribers 1000 --bulks 100 --transfers 5] [--probe]
 *     [--node-option OPTION]
 *
 * With --probe another process performs bulks of one transfer of another account at the same time. Their
 * latency shows the cost of the subscribers for all other callers.
 *
 * Latency runs from the transfer's createdAt, which the server sets just before the commit, until the
 * client has the event. Both processes read the same clock.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import {
  BULK_ACCOUNT,
  type BulkRequest,
  bulkRequest,
  HOT_ACCOUNT,
} from './harness/bulk-requests.ts';
import { type LoadClient, startLoadClient } from './harness/load-client.ts';
import { describeMachine, machineLine } from './harness/machine.ts';
import { runProgram } from './harness/program.ts';
import { percentile, roundToTenth } from './harness/statistics.ts';
import { createLedger } from './subjects/virement/ledger.ts';
import { GRAPHQL_PATH, PERFORM, PERFORMED, performBody } from './subjects/virement/requests.ts';
import { VirementServer } from './subjects/virement/server.ts';

const MINUTES_MAX = 60;

/** A pause in which a thousand subscribers receive a bulk of five, so that no backlog is measured. */
const PAUSE_BETWEEN_BULKS_MS = 250;
const PAUSE_BETWEEN_PROBES_MS = 20;
/** The probe runs in parts of this duration until it is stopped. */
const PROBE_PART_MS = 250;
/** The probe measures the server without bulks for this time. */
const QUIET_MS = 2_000;
const SUBSCRIBED_POLL_MS = 500;
const RECEIVED_POLL_MS = 5;
const RECEIVED_MAX_MS = 60_000;

const { values: options } = parseArgs({
  options: {
    subscribers: { type: 'string', default: '1000' },
    bulks: { type: 'string', default: '100' },
    transfers: { type: 'string', default: '5' },
    probe: { type: 'boolean', default: false },
    'node-option': { type: 'string', multiple: true, default: [] },
  },
});
const subscriberCount = Number(options.subscribers);
const bulks = Number(options.bulks);
const transfers = Number(options.transfers);

/** The time of an event. The text is searched, because parsing the events would take as long as sending them. */
const CREATED_AT = /"createdAt":"([^"]+)"/;

/** The clients that follow one account, and the latencies of their events. */
class Subscribers {
  readonly #sockets: WebSocket[] = [];
  #latenciesMs: number[] = [];
  #createdAt = '';
  #createdAtMs = 0;

  get latenciesMs(): readonly number[] {
    return this.#latenciesMs;
  }

  get received(): number {
    return this.#latenciesMs.length;
  }

  reset(): void {
    this.#latenciesMs = [];
  }

  /** Connects one client, and sends its subscription. */
  subscribe(origin: string): Promise<void> {
    const url = `${origin.replace('http', 'ws')}${GRAPHQL_PATH}`;
    const socket = new WebSocket(url, 'graphql-transport-ws');
    this.#sockets.push(socket);
    return new Promise((resolve, reject) => {
      socket.once('error', reject);
      socket.on('open', () => socket.send('{"type":"connection_init"}'));
      socket.on('message', (data: Buffer) => {
        const createdAt = CREATED_AT.exec(data.toString('latin1'))?.[1];
        if (createdAt !== undefined) this.#note(createdAt);
        else if (data.includes('connection_ack')) {
          const query = `subscription { transferPerformed(accountIban: "${BULK_ACCOUNT}") { transfer { createdAt } } }`;
          socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
          resolve();
        }
      });
    });
  }

  /** Notes the latency of one event. Many events in a row have the same time. */
  #note(createdAt: string): void {
    if (createdAt !== this.#createdAt) {
      this.#createdAt = createdAt;
      this.#createdAtMs = Date.parse(createdAt);
    }
    this.#latenciesMs.push(Date.now() - this.#createdAtMs);
  }

  disconnect(): void {
    for (const socket of this.#sockets) socket.terminate();
  }
}

async function perform(server: VirementServer, input: BulkRequest): Promise<void> {
  const answer = await server.ask(PERFORM, { input });
  if (!answer.includes(PERFORMED)) throw new Error(answer);
}

/** Performs bulks of another account, one after the other, until the work is done. @returns their latencies */
async function probeDuring(
  client: LoadClient,
  origin: string,
  work: Promise<void>,
): Promise<readonly number[]> {
  let isDone = false;
  const latenciesMs: number[] = [];
  const loop = {
    inFlight: 1,
    durationMs: PROBE_PART_MS,
    countMax: Infinity,
    pauseMs: PAUSE_BETWEEN_PROBES_MS,
  };
  const bodies = [performBody(bulkRequest(HOT_ACCOUNT, 1))];
  const job = { origin, path: GRAPHQL_PATH, bodies, expected: PERFORMED, loop };
  const probe = async () => {
    while (!isDone) latenciesMs.push(...(await client.run(job)).latenciesMs);
  };
  const watched = work.finally(() => {
    isDone = true;
  });
  await Promise.all([watched, probe()]);
  return latenciesMs;
}

/** Performs the bulks, and waits until every event arrived or the time limit is over. */
async function performBulks(server: VirementServer, subscribers: Subscribers): Promise<void> {
  const bulk = bulkRequest(BULK_ACCOUNT, transfers);
  for (let performed = 0; performed < bulks; performed += 1) {
    await perform(server, bulk);
    await sleep(PAUSE_BETWEEN_BULKS_MS);
  }
  const expected = bulks * transfers * subscriberCount;
  const deadline = Date.now() + RECEIVED_MAX_MS;
  while (subscribers.received < expected && Date.now() < deadline) await sleep(RECEIVED_POLL_MS);
}

async function startServer(): Promise<VirementServer> {
  const { url } = await createLedger('sqlite', 'subscriptions');
  const server = await VirementServer.start(url, {
    hasAuthentication: false,
    nodeOptions: options['node-option'],
  });
  for (const iban of [BULK_ACCOUNT, HOT_ACCOUNT]) await server.openAccount(iban);
  return server;
}

/** Connects the subscribers, and waits until each has received an event: every subscription is active then. */
async function connectSubscribers(server: VirementServer): Promise<Subscribers> {
  const subscribers = new Subscribers();
  const connections = Array.from({ length: subscriberCount }, () =>
    subscribers.subscribe(server.origin),
  );
  await Promise.all(connections);
  while (subscribers.received < subscriberCount) {
    await perform(server, bulkRequest(BULK_ACCOUNT, 1));
    await sleep(SUBSCRIBED_POLL_MS);
  }
  return subscribers;
}

async function measureSubscriptions(): Promise<void> {
  const server = await startServer();
  const subscribers = await connectSubscribers(server);
  const client = options.probe ? startLoadClient() : undefined;
  const withProbe = async (work: Promise<void>) =>
    client ? probeDuring(client, server.origin, work) : await work.then(() => []);
  const quietMs = await withProbe(sleep(QUIET_MS));
  subscribers.reset();
  const before = await server.resident();
  const startedAt = performance.now();
  let elapsedMs = 0;
  const probedMs = await withProbe(
    performBulks(server, subscribers).then(() => {
      elapsedMs = performance.now() - startedAt;
    }),
  );
  const after = await server.resident();
  const { received, latenciesMs } = subscribers;
  const expected = bulks * transfers * subscriberCount;
  console.log(machineLine(describeMachine()));
  console.table({
    subscribers: subscriberCount,
    'events committed': bulks * transfers,
    'events received': received,
    'events expected': expected,
    'events received per second': Math.round((received / elapsedMs) * 1_000),
    'latency p50, ms': percentile(latenciesMs, 0.5),
    'latency p99, ms': percentile(latenciesMs, 0.99),
    ...(client && {
      'a bulk of another account before, p50, ms': roundToTenth(percentile(quietMs, 0.5)),
      'meanwhile, p50, ms': roundToTenth(percentile(probedMs, 0.5)),
      'meanwhile, p99, ms': roundToTenth(percentile(probedMs, 0.99)),
    }),
    'server RSS before, MB': Math.round(before?.now ?? 0),
    'server RSS after, MB': Math.round(after?.now ?? 0),
    'server RSS peak, MB': Math.round(after?.peak ?? 0),
  });
  subscribers.disconnect();
  if (received !== expected) process.exitCode = 1;
}

await runProgram(MINUTES_MAX, measureSubscriptions);
