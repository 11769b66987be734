/** One company's client, in a process of its own: it sends a body again and again, and counts what it is answered. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { runLoop } from './load-loop.ts';
import { answerJobs } from './worker-process.ts';

export interface CompanyJob {
  readonly origin: string;
  /** Sent in turn, again from the first after the last. */
  readonly bodies: readonly string[];
  readonly inFlight: number;
  readonly durationMs: number;
  /** Between an answer and the next request. */
  readonly pauseMs: number;
}

export interface CompanyRun {
  /** Latency of each request, whatever its answer was. */
  readonly latenciesMs: readonly number[];
  readonly elapsedMs: number;
  /** Number of answers of each type: a member of a union, or an error's code. */
  readonly answers: Readonly<Record<string, number>>;
}

const CONNECTIONS_MAX = 1_000;
const KEEP_ALIVE_MS = 60_000;

/** Connections are kept from job to job: the server takes a turn of its event loop for each new one. */
let pool: Pool | undefined;

async function runCompany(job: CompanyJob): Promise<CompanyRun> {
  const { origin, inFlight, durationMs, pauseMs } = job;
  pool ??= new Pool(origin, {
    connections: CONNECTIONS_MAX,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  const to = pool;
  const bodies = job.bodies.map((body) => Buffer.from(body));
  const answers: Record<string, number> = {};
  const latenciesMs: number[] = [];
  const loop = { inFlight, durationMs, countMax: Number.POSITIVE_INFINITY };
  const { elapsedMs } = await runLoop(loop, async (index) => {
    const sent = bodies[index % bodies.length];
    if (!sent) throw new Error('There is no body to send');
    const sentAt = performance.now();
    const { body } = await to.request({
      path: '/graphql',
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: sent,
    });
    const answer = typeOf(await body.text());
    latenciesMs.push(performance.now() - sentAt);
    answers[answer] = (answers[answer] ?? 0) + 1;
    await sleep(pauseMs);
  });
  return { latenciesMs, elapsedMs, answers };
}

/** The member of the union that an answer is, or the code of its first error. */
function typeOf(answer: string): string {
  return (
    /"code":"([A-Z_]+)"/.exec(answer)?.[1] ?? /"__typename":"(\w+)"/.exec(answer)?.[1] ?? 'Other'
  );
}

answerJobs(runCompany, async () => pool?.destroy());
