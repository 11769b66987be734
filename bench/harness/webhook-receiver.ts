/** A receiver of webhooks on loopback. It runs in a process of its own: webhook-receiver-process.ts. */
import { WorkerProcess } from './worker-process.ts';

/** The path that is answered after 5 seconds. Every other path is answered at once, by 204. */
export const SLOW_PATH = '/slow';

/** Asks for what was received. */
export interface ReceiverJob {
  /** Whether the receiver forgets its events after the report. */
  readonly isReset: boolean;
}

export interface ReceiverReport {
  /** http://host:port */
  readonly origin: string;
  /** Number of calls, with repetitions. */
  readonly calls: number;
  /** The time from each event's own time to the first line of its first call, by path, in milliseconds. */
  readonly lagsMs: Readonly<Record<string, readonly number[]>>;
}

export type WebhookReceiver = WorkerProcess<ReceiverJob, ReceiverReport>;

export function startWebhookReceiver(): WebhookReceiver {
  return new WorkerProcess(new URL('./webhook-receiver-process.ts', import.meta.url));
}
