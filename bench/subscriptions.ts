/**
 * How fast, and at what cost, events reach subscribers: 1,000 WebSocket clients follow one account
 * while bulks are performed. The server is a process of its own, the clients are this one, on one
 * machine; run it on a quiet one.
 *
 *   npm run bench:subscriptions [-- --subscribers 1000 --bulks 100 --transfers 5] [--probe]
 *
 * With --probe a thread of its own meanwhile performs small bulks of another account, one after the other: what those
 * take is what subscribers cost everyone else.
 *
 * Latency is from the transfer's createdAt, which is given just before the commit, to the client's
 * having the event in hand: both clocks are one.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { WebSocket } from 'ws';

const ACME = 'FR10474608000002006107XXXXX';
const GLOBEX = 'DE75512108001245126199';
/** So that a thousand subscribers to bulks of five can keep up: what is measured is not a backlog. */
const PAUSE_BETWEEN_BULKS_MS = 250;
const PAUSE_BETWEEN_PROBES_MS = 20;
const DRAIN_MS = 60_000;

const { values } = parseArgs({
  options: {
    subscribers: { type: 'string', default: '1000' },
    bulks: { type: 'string', default: '100' },
    transfers: { type: 'string', default: '5' },
    probe: { type: 'boolean', default: false },
  },
});
const subscribers = Number(values.subscribers);
const bulks = Number(values.bulks);
const transfers = Number(values.transfers);

const folder = join(tmpdir(), `virement-bench-${process.pid}`);

async function startServer(): Promise<{ server: ChildProcess; url: string }> {
  const server = spawn(process.execPath, [join(import.meta.dirname, '../dist/main.js')], {
    env: { PORT: '0', DATABASE_URL: `sqlite:${folder}/bench.db`, ...process.env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await new Promise<string>((resolve, reject) => {
    let output = '';
    server.stdout?.on('data', (chunk) => {
      output += chunk;
      const address = /(?:GraphiQL|Listening): (http:\/\/[^/]+)\//.exec(output)?.[1];
      if (address) resolve(address);
    });
    server.once('exit', () => reject(new Error(`The server ended: ${output}`)));
  });
  return { server, url };
}

const latenciesMs: number[] = [];
let received = 0;

function subscribe(url: string): Promise<WebSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws');
  return new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.on('open', () => socket.send('{"type":"connection_init"}'));
    socket.on('message', (text) => {
      const message = JSON.parse(String(text));
      if (message.type === 'connection_ack') {
        const query = `subscription { transferPerformed(accountIban: "${ACME}") { transfer { createdAt } } }`;
        socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query } }));
        resolve(socket);
      } else if (message.type === 'next') {
        received += 1;
        const { createdAt } = message.payload.data.transferPerformed.transfer;
        latenciesMs.push(Date.now() - Date.parse(createdAt));
      }
    });
  });
}

async function perform(url: string, iban: string, count: number): Promise<void> {
  const creditTransfers = Array.from({ length: count }, (_, index) => ({
    amount: '0.01',
    counterpartyName: 'Bip Bip',
    counterpartyIban: 'DE89370400440532013000',
    description: `Row ${index}`,
  }));
  const query =
    'mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) { __typename } }';
  const variables = { input: { organizationIban: iban, creditTransfers } };
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  const answer = await response.text();
  if (!answer.includes('BulkTransferPerformed')) throw new Error(answer);
}

/** What a bulk of one transfer takes, before and while events go out; the thread has an event loop of its own. */
function startProbe(url: string): { latenciesMs(): Promise<number[]> } {
  const worker = new Worker(new URL(import.meta.url), { workerData: { url } });
  return {
    latenciesMs: async () => {
      worker.postMessage('tell');
      const [latencies] = await once(worker, 'message');
      return latencies;
    },
  };
}

async function probe(url: string): Promise<void> {
  let taken: number[] = [];
  parentPort?.on('message', () => {
    parentPort?.postMessage(taken);
    taken = [];
  });
  for (;;) {
    const start = performance.now();
    await perform(url, GLOBEX, 1);
    taken.push(performance.now() - start);
    await sleep(PAUSE_BETWEEN_PROBES_MS);
  }
}

async function residentMb(server: ChildProcess): Promise<{ now: number; peak: number }> {
  const status = await readFile(`/proc/${server.pid}/status`, 'utf8');
  const of = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1]) / 1024;
  return { now: Math.round(of('VmRSS')), peak: Math.round(of('VmHWM')) };
}

const percentile = (sorted: readonly number[], p: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))];

const sortedOf = (values: readonly number[]) => values.toSorted((one, other) => one - other);

const rounded = (value: number | undefined) => Math.round((value ?? Number.NaN) * 10) / 10;

async function measure(): Promise<void> {
  const { server, url } = await startServer();
  try {
    const sockets = await Promise.all(Array.from({ length: subscribers }, () => subscribe(url)));
    // Every subscription is there once it has answered to a first bulk.
    while (received < subscribers) {
      await perform(url, ACME, 1);
      await sleep(500);
    }
    const meanwhile = values.probe ? startProbe(url) : undefined;
    await sleep(2_000);
    const quietMs = sortedOf((await meanwhile?.latenciesMs()) ?? []);
    received = 0;
    latenciesMs.length = 0;
    const before = await residentMb(server);
    const start = performance.now();
    for (let bulk = 0; bulk < bulks; bulk += 1) {
      await perform(url, ACME, transfers);
      await sleep(PAUSE_BETWEEN_BULKS_MS);
    }
    const expected = bulks * transfers * subscribers;
    const deadline = Date.now() + DRAIN_MS;
    while (received < expected && Date.now() < deadline) await sleep(5);
    const seconds = (performance.now() - start) / 1_000;
    const after = await residentMb(server);
    const sorted = sortedOf(latenciesMs);
    const probedMs = sortedOf((await meanwhile?.latenciesMs()) ?? []);
    console.table({
      subscribers,
      'events committed': bulks * transfers,
      'events received': received,
      'events expected': expected,
      'events received per second': Math.round(received / seconds),
      'latency p50, ms': percentile(sorted, 0.5),
      'latency p99, ms': percentile(sorted, 0.99),
      ...(values.probe && {
        'a bulk of another account before, p50, ms': rounded(percentile(quietMs, 0.5)),
        'meanwhile, p50, ms': rounded(percentile(probedMs, 0.5)),
        'meanwhile, p99, ms': rounded(percentile(probedMs, 0.99)),
      }),
      'server RSS before, MB': before.now,
      'server RSS after, MB': after.now,
      'server RSS peak, MB': after.peak,
    });
    for (const socket of sockets) socket.terminate();
    if (received !== expected) process.exitCode = 1;
  } finally {
    server.kill('SIGTERM');
    await rm(folder, { recursive: true, force: true });
  }
}

if (isMainThread) {
  await measure();
  process.exit();
} else {
  await probe(workerData.url);
}
