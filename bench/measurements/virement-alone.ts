/** What our server is measured in by itself: memory, pages of a long history, publishing, start. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  BULK_ACCOUNT,
  bulkOrder,
  HOT,
  LARGE_ACCOUNT,
  SMALL_ACCOUNT,
} from '../harness/bulk-requests.ts';
import { publishLatenciesMs } from '../harness/databases.ts';
import type { LoadJob } from '../harness/load-client.ts';
import { StatementCounter } from '../harness/statement-counter.ts';
import { percentile, summarise } from '../harness/statistics.ts';
import type { Virement } from '../subjects/open-subjects.ts';
import { ask, pageJob, startVirement } from '../subjects/virement/server.ts';
import type { OnProgress } from './comparison.ts';
import { MEASURES, type UnrelatedFigure } from './measures.ts';
import type { Plan } from './plan.ts';

/** Bulks of 10,000 between two looks at the memory. */
const MEMORY_STEP_BULKS = 5;

const SHORT_HISTORY_TRANSFERS = 1_000;
const TRANSFERS_PER_BULK = 10_000;
const PAGE_ROUNDS = 4;
const COUNTED_PAGES = 21;

/** As many of one bulk after another as are asked for, however long they take. */
const inARow = (countMax: number) => ({ inFlight: 1, durationMs: Infinity, countMax });

/** Memory of our server as it takes bulks of 10,000 in a row. */
export interface MemoryCourse {
  /** MB before the first, and after each five. */
  readonly residentMb: readonly number[];
  readonly peakMb: number;
}

export interface AloneFigures {
  readonly figures: readonly UnrelatedFigure[];
  /** Transfers that the account with a long history came to. */
  readonly historyTransfers: number;
  /** Undefined where the operating system does not tell. */
  readonly memory: MemoryCourse | undefined;
}

export async function measureAlone(
  virement: Virement,
  plan: Plan,
  onProgress: OnProgress,
): Promise<AloneFigures> {
  const title = (measure: keyof typeof MEASURES) => `${virement.id}: ${MEASURES[measure].title}`;
  // Memory is that of a process that has done nothing else.
  await virement.stop();
  await virement.start();
  onProgress(title('memory'));
  const memory = await watchMemory(virement, plan);
  onProgress(title('page-long'));
  const historyTransfers = await makeHistories(virement, plan);
  const pages = await measurePages(virement, plan);
  await virement.stop();
  onProgress(title('start'));
  const figures = [...pages, await measureStart(virement, plan)];
  if (virement.id === 'virement-mariadb') {
    figures.push(await countStatements(virement));
    onProgress(title('publish'));
    figures.push(...(await measurePublishing(virement, plan)));
  }
  if (memory) {
    const { peakMb, residentMb } = memory;
    figures.push({
      measure: 'memory',
      subject: virement.id,
      median: peakMb,
      samples: residentMb.length,
    });
  }
  return { figures, historyTransfers, memory };
}

async function watchMemory(virement: Virement, plan: Plan): Promise<MemoryCourse | undefined> {
  const orders = [bulkOrder(BULK_ACCOUNT, TRANSFERS_PER_BULK)];
  const residentMb = [(await virement.resident())?.now ?? 0];
  for (let done = 0; done < plan.memoryBulks; done += MEMORY_STEP_BULKS) {
    await virement.perform({ orders, loop: inARow(MEMORY_STEP_BULKS) });
    residentMb.push((await virement.resident())?.now ?? 0);
  }
  await virement.settle();
  const resident = await virement.resident();
  return resident && { residentMb, peakMb: resident.peak };
}

/** @returns transfers of the long one */
async function makeHistories(virement: Virement, plan: Plan): Promise<number> {
  await virement.perform({
    orders: [bulkOrder(SMALL_ACCOUNT, SHORT_HISTORY_TRANSFERS)],
    loop: inARow(1),
  });
  const { latenciesMs } = await virement.perform({
    orders: [bulkOrder(LARGE_ACCOUNT, TRANSFERS_PER_BULK)],
    loop: {
      ...inARow(plan.historyTransfersMax / TRANSFERS_PER_BULK),
      durationMs: plan.historyMsMax,
    },
  });
  await virement.settle();
  return latenciesMs.length * TRANSFERS_PER_BULK;
}

async function measurePages(virement: Virement, plan: Plan): Promise<UnrelatedFigure[]> {
  const latenciesMs = { 'page-short': [] as number[], 'page-long': [] as number[] };
  const ibans = { 'page-short': SMALL_ACCOUNT, 'page-long': LARGE_ACCOUNT };
  const loop = { ...inARow(10_000), durationMs: plan.pagesMs };
  for (let round = 0; round <= PAGE_ROUNDS; round += 1) {
    for (const measure of ['page-short', 'page-long'] as const) {
      const job: LoadJob = pageJob(virement.origin, ibans[measure], loop);
      const run = await virement.run(job);
      // The first round is the warm-up.
      if (round > 0) latenciesMs[measure].push(...run.latenciesMs);
    }
  }
  return (['page-short', 'page-long'] as const).map((measure) => ({
    measure,
    subject: virement.id,
    ...summarise(latenciesMs[measure]),
  }));
}

/** From the process's birth to the answer to a query that reads the database. */
async function measureStart(virement: Virement, plan: Plan): Promise<UnrelatedFigure> {
  const durationsMs: number[] = [];
  for (let start = 0; start < plan.starts; start += 1) {
    const bornAt = performance.now();
    await virement.start();
    await ask(virement.origin, `{ account(iban: "${SMALL_ACCOUNT}") { balance { amount } } }`);
    durationsMs.push(performance.now() - bornAt);
    await virement.stop();
  }
  return { measure: 'start', subject: virement.id, ...summarise(durationsMs) };
}

const AMQP_URL = process.env.BENCH_AMQP_URL || 'amqp://guest:guest@127.0.0.1:5672';
const BROKER_WAIT_MS = 5_000;

/** So that each goes by itself. */
const PUBLISHED_PER_S = 33;

/**
 * From an entry's time, just before its commit, to just before its message is marked: every event of it is
 * with the broker then. Nothing where the server finds no RabbitMQ.
 */
async function measurePublishing(virement: Virement, plan: Plan): Promise<UnrelatedFigure[]> {
  await virement.start({ AMQP_URL });
  try {
    if (!(await isBrokerReady(virement))) return [];
    await virement.perform({ orders: HOT, loop: inARow(PUBLISHED_PER_S) });
    await virement.settle();
    const from = new Date();
    const loop = { ...inARow(Infinity), durationMs: plan.publishMs, ratePerS: PUBLISHED_PER_S };
    await virement.perform({ orders: HOT, loop });
    await virement.settle();
    const latenciesMs = await publishLatenciesMs(virement.databaseUrl, from);
    return [{ measure: 'publish', subject: virement.id, ...summarise(latenciesMs) }];
  } finally {
    await virement.stop();
  }
}

interface Readiness {
  readonly parts: { readonly broker: { readonly status: string } };
}

async function isBrokerReady({ origin }: Virement): Promise<boolean> {
  const deadline = Date.now() + BROKER_WAIT_MS;
  while (Date.now() < deadline) {
    const { parts } = (await (await fetch(`${origin}/readyz`)).json()) as Readiness;
    if (parts.broker.status === 'ok') return true;
    await sleep(100);
  }
  return false;
}

/** The median of many pages, one by one: the relay's looks at the outbox fall between some of them. */
async function countStatements(virement: Virement): Promise<UnrelatedFigure> {
  const { counter, url } = await StatementCounter.open(virement.databaseUrl);
  const server = await startVirement(url);
  try {
    const [body = ''] = pageJob(server.origin, LARGE_ACCOUNT, inARow(1)).bodies;
    const { query, variables } = JSON.parse(body);
    const counts: number[] = [];
    for (let page = 0; page < COUNTED_PAGES; page += 1) {
      const before = counter.count;
      await ask(server.origin, query, variables);
      counts.push(counter.count - before);
    }
    return {
      measure: 'page-statements',
      subject: virement.id,
      median: percentile(counts, 0.5),
      samples: counts.length,
    };
  } finally {
    await server.stop();
    await counter.close();
  }
}
