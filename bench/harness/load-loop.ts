/** Sends requests in a closed or an open loop, and measures the latency of each. */
import { setTimeout as sleep } from 'node:timers/promises';

/** The way in which requests follow each other. A loop ends by its time or by its count, whichever comes first. */
export interface LoadLoop {
  /** Requests in flight at once in a closed loop. */
  readonly inFlight: number;
  readonly durationMs: number;
  readonly countMax: number;
  /** Requests per second of an open loop. Without it the loop is closed: each answer is followed by a request. */
  readonly ratePerS?: number;
  /** Pause of a closed loop between an answer and the next request. It does not count as latency. */
  readonly pauseMs?: number;
}

export interface LoopResult {
  readonly latenciesMs: readonly number[];
  readonly elapsedMs: number;
}

/** Returns a closed loop of one request at a time, which ends by its count. */
export function oneAtATime(countMax: number): LoadLoop {
  return { inFlight: 1, durationMs: Infinity, countMax };
}

/** Returns the number of answers per second. */
export function ratePerS({ latenciesMs, elapsedMs }: LoopResult): number {
  return (latenciesMs.length / elapsedMs) * 1_000;
}

/** Sends one request. @param index 0, 1, 2 … within the loop */
export type Send = (index: number) => Promise<void>;

export function runLoadLoop(loop: LoadLoop, send: Send): Promise<LoopResult> {
  const { ratePerS } = loop;
  return ratePerS === undefined ? closedLoop(loop, send) : openLoop({ ...loop, ratePerS }, send);
}

/** Runs one lane for each request in flight. A lane sends its next request after an answer. At least one is sent. */
async function closedLoop(loop: LoadLoop, send: Send): Promise<LoopResult> {
  const { inFlight, durationMs, countMax, pauseMs } = loop;
  const latenciesMs: number[] = [];
  const startedAt = performance.now();
  let sent = 0;
  const isOpen = () =>
    sent === 0 || (sent < countMax && performance.now() - startedAt < durationMs);
  const lane = async () => {
    while (isOpen()) {
      const index = sent;
      sent += 1;
      const sentAt = performance.now();
      await send(index);
      latenciesMs.push(performance.now() - sentAt);
      if (pauseMs !== undefined) await sleep(pauseMs);
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { latenciesMs, elapsedMs: performance.now() - startedAt };
}

/**
 * Sends at a fixed rate, independent of the answers. Latency counts from the moment when a request is
 * due, so that a stalled server is charged for every request that it delays.
 */
async function openLoop(
  { durationMs, countMax, ratePerS }: LoadLoop & { readonly ratePerS: number },
  send: Send,
): Promise<LoopResult> {
  const latenciesMs: number[] = [];
  const total = Math.max(Math.min(countMax, Math.floor((ratePerS * durationMs) / 1_000)), 1);
  const startedAt = performance.now();
  const sendOne = async (index: number) => {
    await send(index);
    latenciesMs.push(performance.now() - startedAt - (index / ratePerS) * 1_000);
  };
  const answers: Promise<void>[] = [];
  while (answers.length < total) {
    const due = Math.floor(((performance.now() - startedAt) / 1_000) * ratePerS) + 1;
    while (answers.length < Math.min(due, total)) answers.push(sendOne(answers.length));
    await sleep(1);
  }
  await Promise.all(answers);
  return { latenciesMs, elapsedMs: performance.now() - startedAt };
}
