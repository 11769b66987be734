/** The HTTP client of every server. It runs in a process of its own: load-client-process.ts. */
import type { LoadLoop, LoopResult } from './load-loop.ts';
import { WorkerProcess } from './worker-process.ts';

export interface LoadJob {
  readonly origin: string;
  readonly path: string;
  /** Request bodies, sent in turn. After the last one the first one follows. */
  readonly bodies: readonly string[];
  /** A text in every correct answer. Without it any answer is accepted, and the answers are counted by type. */
  readonly expected?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether each request has an idempotency key of its own, in a header. */
  readonly hasKeys?: boolean;
  /** Connections at most. Unless given, a closed loop has one for each request in flight, and an open loop 256. */
  readonly connectionsMax?: number;
  readonly loop: LoadLoop;
}

export interface LoadResult extends LoopResult {
  /** Number of answers of each type: a member of a union, or an error code. Empty for a job with an expected text. */
  readonly answers: Readonly<Record<string, number>>;
}

export type LoadClient = WorkerProcess<LoadJob, LoadResult>;

export function startLoadClient(): LoadClient {
  return new WorkerProcess(new URL('./load-client-process.ts', import.meta.url));
}
