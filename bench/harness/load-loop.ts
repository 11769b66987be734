import { setTimeout as sleep } from 'node:timers/promises';

/** How requests follow each other. Every loop ends by its time and by its count, whichever is first. */
export interface Loop {
  /** Requests under way at once in a closed loop; what an open loop's connections are for. */
  readonly inFlight: number;
  readonly durationMs: number;
  readonly countMax: number;
  /** Requests per second of an open loop; a closed one sends as soon as it is answered. */
  readonly ratePerS?: number;
}

/** What a loop measured. */
export interface Run {
  readonly latenciesMs: readonly number[];
  readonly elapsedMs: number;
}

/** Requests answered per second. */
export function ratePerS({ latenciesMs, elapsedMs }: Run): number {
  return (latenciesMs.length / elapsedMs) * 1_000;
}

/** Sends one request. @param index 0, 1, 2 … of this loop */
export type Send = (index: number) => Promise<void>;

export function runLoop(loop: Loop, send: Send): Promise<Run> {
  const { ratePerS } = loop;
  return ratePerS === undefined ? closedLoop(loop, send) : openLoop({ ...loop, ratePerS }, send);
}

/** As many lanes as requests in flight, each sending when it was answered. At least one is sent. */
async function closedLoop({ inFlight, durationMs, countMax }: Loop, send: Send): Promise<Run> {
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
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return { latenciesMs, elapsedMs: performance.now() - startedAt };
}

/**
 * Sends at a rate, whatever is answered: latency is from the moment at which a request was due, so
 * that a server that stands still is charged for everyone whom it kept waiting.
 */
async function openLoop(
  { durationMs, countMax, ratePerS }: Loop & { readonly ratePerS: number },
  send: Send,
): Promise<Run> {
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
