/**
 * The client of every server, in a process of its own: it sends bodies that were made beforehand and
 * looks into the answers for one text alone, so that it costs the server's machine as little as it can.
 */
import { randomUUID } from 'node:crypto';
import { Pool } from 'undici';
import { type Loop, type Run, runLoop } from './load-loop.ts';
import { answerJobs } from './worker-process.ts';

export interface LoadJob {
  readonly origin: string;
  readonly path: string;
  /** Sent in turn, again from the first after the last. */
  readonly bodies: readonly string[];
  /** What every right answer has in it. */
  readonly expected: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether each request brings an idempotency key of its own, in a header. */
  readonly hasKeys: boolean;
  readonly loop: Loop;
}

/** Connections of an open loop: more requests than these wait in the client, and are charged for it. */
const CONNECTIONS_MAX = 256;
const ERROR_CHARACTERS_MAX = 500;

let pool:
  | { readonly origin: string; readonly connections: number; readonly pool: Pool }
  | undefined;

/** The last pool where it fits, so that connections are kept from job to job. */
async function poolOf({ origin, loop }: LoadJob): Promise<Pool> {
  const connections = loop.ratePerS === undefined ? loop.inFlight : CONNECTIONS_MAX;
  if (pool?.origin !== origin || pool.connections !== connections) {
    await pool?.pool.close();
    // Nothing times out here: a server that answers late is measured, and the run as a whole is bounded.
    const options = { connections, pipelining: 1, headersTimeout: 0, bodyTimeout: 0 };
    pool = { origin, connections, pool: new Pool(origin, options) };
  }
  return pool.pool;
}

function post(to: Pool, job: LoadJob, body: Buffer): Promise<string> {
  const headers: Record<string, string> = { 'content-type': 'application/json', ...job.headers };
  if (job.hasKeys) headers['idempotency-key'] = randomUUID();
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    to.dispatch(
      { path: job.path, method: 'POST', headers, body },
      {
        // undici wants every one of these.
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

async function runJob(job: LoadJob): Promise<Run> {
  const to = await poolOf(job);
  const bodies = job.bodies.map((body) => Buffer.from(body));
  return runLoop(job.loop, async (index) => {
    const body = bodies[index % bodies.length];
    if (!body) throw new Error('There is no body to send');
    const answer = await post(to, job, body);
    if (answer.includes(job.expected)) return;
    throw new Error(`${job.expected} is not in: ${answer.slice(0, ERROR_CHARACTERS_MAX)}`);
  });
}

answerJobs(runJob, async () => pool?.pool.close());
