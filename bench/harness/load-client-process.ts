/**
 * The process of the load client. Bodies are made before the loop starts, and an answer is searched for
 * one text only, so that the client takes little of the machine that it shares with the server.
 */
import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import type { LoadJob, LoadResult } from './load-client.ts';
import { runLoadLoop } from './load-loop.ts';
import { answerJobs } from './worker-process.ts';

/** Connections of an open loop. Requests beyond this number wait in the client, and the wait counts as latency. */
const OPEN_LOOP_CONNECTIONS_MAX = 256;
const ERROR_CHARACTERS_MAX = 500;

let lastPool:
  | { readonly origin: string; readonly connections: number; readonly pool: Pool }
  | undefined;

/** Returns the last pool if it fits, because the server spends a turn of its event loop on each new connection. */
async function poolFor({ origin, loop, connectionsMax }: LoadJob): Promise<Pool> {
  const isClosedLoop = loop.ratePerS === undefined;
  const connections = connectionsMax ?? (isClosedLoop ? loop.inFlight : OPEN_LOOP_CONNECTIONS_MAX);
  if (lastPool?.origin !== origin || lastPool.connections !== connections) {
    await lastPool?.pool.close();
    // No request times out: a late answer is measured, and the program as a whole has a time limit.
    const options = { connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 };
    lastPool = { origin, connections, pool: new Pool(origin, options) };
  }
  return lastPool.pool;
}

function post(pool: Pool, job: LoadJob, body: Buffer): Promise<string> {
  const headers: Record<string, string> = { 'content-type': 'application/json', ...job.headers };
  if (job.hasKeys) headers['idempotency-key'] = randomUUID();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    pool.dispatch(
      { path: job.path, method: 'POST', headers, body },
      {
        // undici requires each of these handlers.
        onRequestStart: () => {},
        onResponseStart: () => {},
        onResponseData: (_, chunk) => void chunks.push(chunk),
        onResponseEnd: () =>
          resolve(chunks.length === 1 ? `${chunks[0]}` : `${Buffer.concat(chunks)}`),
        onResponseError: (_, error) => reject(error),
      },
    );
  });
}

/** Returns the member of the union that the answer has, or the code of its first error. */
function answerType(answer: string): string {
  return (
    /"code":"([A-Z_]+)"/.exec(answer)?.[1] ?? /"__typename":"(\w+)"/.exec(answer)?.[1] ?? 'Other'
  );
}

async function runJob(job: LoadJob): Promise<LoadResult> {
  const pool = await poolFor(job);
  const bodies = job.bodies.map((body) => Buffer.from(body));
  const answers: Record<string, number> = {};
  const result = await runLoadLoop(job.loop, async (index) => {
    const body = bodies[index % bodies.length];
    if (!body) throw new Error('The load job has no body to send');
    const answer = await post(pool, job, body);
    if (job.expected === undefined) {
      const type = answerType(answer);
      answers[type] = (answers[type] ?? 0) + 1;
    } else if (!answer.includes(job.expected)) {
      throw new Error(`The answer lacks ${job.expected}: ${answer.slice(0, ERROR_CHARACTERS_MAX)}`);
    }
  });
  return { ...result, answers };
}

answerJobs(runJob, async () => lastPool?.pool.close());
