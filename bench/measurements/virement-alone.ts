/** Measures the server under test by itself: memory, pages of a long history, publishing, start. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  BULK_ACCOUNT,
  bulkRequest,
  HOT_ACCOUNT_BULKS,
  LARGE_ACCOUNT,
  SMALL_ACCOUNT,
} from '../harness/bulk-requests.ts';
import { publishLatenciesMs } from '../harness/databases.ts';
import { oneAtATime } from '../harness/load-loop.ts';
import type { OnProgress } from '../harness/program.ts';
import { StatementCounter } from '../harness/statement-counter.ts';
import { percentile, summarise } from '../harness/statistics.ts';
import { pageJob, pageRequest } from '../subjects/virement/requests.ts';
import { VirementServer } from '../subjects/virement/server.ts';
import type { Virement } from '../subjects/virement/virement.ts';
import { type FigureWithoutRatio, MEASURES } from './measures.ts';
import type { Plan } from './plan.ts';

/** Bulks of 10,000 between two samples of the memory. */
const MEMORY_STEP_BULKS = 5;

const SHORT_HISTORY_TRANSFERS = 1_000;
const TRANSFERS_PER_BULK = 10_000;
const PAGE_ROUNDS = 4;
const PAGES_PER_ROUND_MAX = 10_000;
const COUNTED_PAGES = 21;

/** Memory of the server during bulks of 10,000 in a row. */
export interface MemoryUse {
  /** MB before the first bulk, and after every five. */
  readonly residentMb: readonly number[];
  readonly peakMb: number;
}

export interface AloneFigures {
  readonly figures: readonly FigureWithoutRatio[];
  /** Transfers of the account with a long history. */
  readonly historyTransfers: number;
  /** Undefined if the operating system does not report it. */
  readonly memory: MemoryUse | undefined;
}

export async function measureAlone(
  virement: Virement,
  plan: Plan,
  onProgress: OnProgress,
): Promise<AloneFigures> {
  const title = (measure: keyof typeof MEASURES) => `${virement.id}: ${MEASURES[measure].title}`;
  // The memory is measured in a new process.
  await virement.stop();
  await virement.start();
  onProgress(title('memory'));
  const memory = await measureMemory(virement, plan);
  onProgress(title('page-long'));
  const historyTransfers = await createHistories(virement, plan);
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

async function measureMemory(virement: Virement, plan: Plan): Promise<MemoryUse | undefined> {
  const bulks = [bulkRequest(BULK_ACCOUNT, TRANSFERS_PER_BULK)];
  const residentMb = [(await virement.server.resident())?.now ?? 0];
  for (let done = 0; done < plan.memoryBulks; done += MEMORY_STEP_BULKS) {
    await virement.perform({ bulks, loop: oneAtATime(MEMORY_STEP_BULKS) });
    residentMb.push((await virement.server.resident())?.now ?? 0);
  }
  await virement.settle();
  const resident = await virement.server.resident();
  return resident && { residentMb, peakMb: resident.peak };
}

/** @returns the number of transfers of the long history */
async function createHistories(virement: Virement, plan: Plan): Promise<number> {
  await virement.perform({
    bulks: [bulkRequest(SMALL_ACCOUNT, SHORT_HISTORY_TRANSFERS)],
    loop: oneAtATime(1),
  });
  const { latenciesMs } = await virement.perform({
    bulks: [bulkRequest(LARGE_ACCOUNT, TRANSFERS_PER_BULK)],
    loop: {
      ...oneAtATime(plan.historyTransfersMax / TRANSFERS_PER_BULK),
      durationMs: plan.historyMsMax,
    },
  });
  await virement.settle();
  return latenciesMs.length * TRANSFERS_PER_BULK;
}

async function measurePages(virement: Virement, plan: Plan): Promise<FigureWithoutRatio[]> {
  const latenciesMs = { 'page-short': [] as number[], 'page-long': [] as number[] };
  const ibans = { 'page-short': SMALL_ACCOUNT, 'page-long': LARGE_ACCOUNT };
  const loop = { ...oneAtATime(PAGES_PER_ROUND_MAX), durationMs: plan.pagesMs };
  for (let round = 0; round <= PAGE_ROUNDS; round += 1) {
    for (const measure of ['page-short', 'page-long'] as const) {
      const job = pageJob(virement.server.origin, ibans[measure], loop);
      const result = await virement.run(job);
      // The first round is the warm-up.
      if (round > 0) latenciesMs[measure].push(...result.latenciesMs);
    }
  }
  return (['page-short', 'page-long'] as const).map((measure) => ({
    measure,
    subject: virement.id,
    ...summarise(latenciesMs[measure]),
  }));
}

/** Measures the time from the creation of the process to the answer to a query that reads the database. */
async function measureStart(virement: Virement, plan: Plan): Promise<FigureWithoutRatio> {
  const durationsMs: number[] = [];
  for (let start = 0; start < plan.starts; start += 1) {
    const startedAt = performance.now();
    await virement.start();
    await virement.server.ask(`{ account(iban: "${SMALL_ACCOUNT}") { balance { amount } } }`);
    durationsMs.push(performance.now() - startedAt);
    await virement.stop();
  }
  return { measure: 'start', subject: virement.id, ...summarise(durationsMs) };
}

const AMQP_URL = process.env.BENCH_AMQP_URL || 'amqp://guest:guest@127.0.0.1:5672';
const BROKER_WAIT_MS = 5_000;
const BROKER_POLL_MS = 100;

/** At this rate each event is published by itself. */
const PUBLISHED_PER_S = 33;

/**
 * Measures the time from an entry's creation, just before its commit, to the moment just before its message is
 * marked as published. RabbitMQ has confirmed every event by then. Returns no figure if RabbitMQ is unreachable.
 */
async function measurePublishing(virement: Virement, plan: Plan): Promise<FigureWithoutRatio[]> {
  await virement.start({ AMQP_URL });
  try {
    if (!(await isBrokerReady(virement.server))) return [];
    const bulks = HOT_ACCOUNT_BULKS;
    await virement.perform({ bulks, loop: oneAtATime(PUBLISHED_PER_S) });
    await virement.settle();
    const from = new Date();
    const loop = {
      ...oneAtATime(Infinity),
      durationMs: plan.publishMs,
      ratePerS: PUBLISHED_PER_S,
    };
    await virement.perform({ bulks, loop });
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

async function isBrokerReady({ origin }: VirementServer): Promise<boolean> {
  const deadline = Date.now() + BROKER_WAIT_MS;
  while (Date.now() < deadline) {
    const { parts } = (await (await fetch(`${origin}/readyz`)).json()) as Readiness;
    if (parts.broker.status === 'ok') return true;
    await sleep(BROKER_POLL_MS);
  }
  return false;
}

/** Takes the median of many pages, because the relay polls the outbox during some of them. */
async function countStatements(virement: Virement): Promise<FigureWithoutRatio> {
  const { counter, url } = await StatementCounter.open(virement.databaseUrl);
  const server = await VirementServer.start(url);
  try {
    const { query, variables } = pageRequest(LARGE_ACCOUNT);
    const counts: number[] = [];
    for (let page = 0; page < COUNTED_PAGES; page += 1) {
      const before = counter.count;
      await server.ask(query, variables);
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
