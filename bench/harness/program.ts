/** Runs a program of the bench: bounds its time, ends it on a signal, cleans up, and prints its progress. */
import { atEnd, cleanUp } from './cleanup.ts';

const startedAt = Date.now();

/** Receives the name of each step when the step starts. */
export type OnProgress = (step: string) => void;

/** Prints a step with the seconds since the start. */
export function logProgress(step: string): void {
  const seconds = Math.round((Date.now() - startedAt) / 1_000);
  console.log(`${String(seconds).padStart(4)} s  ${step}`);
}

/** Prints a warning that stands out from the progress. */
export function warn(text: string): void {
  console.error(`\n*** ${text}\n`);
}

/**
 * Runs main, cleans up and exits. The exit code is 1 after an error, a signal or the time limit; main
 * may set one itself.
 */
export async function runProgram(minutesMax: number, main: () => Promise<void>): Promise<never> {
  try {
    await Promise.race([main(), untilStopped(minutesMax)]);
  } catch (error) {
    warn(`FAILED: ${error instanceof Error ? error.stack : error}`);
    process.exitCode = 1;
  } finally {
    await cleanUp();
  }
  process.exit();
}

/** Rejects at the time limit, or on a signal to stop. */
function untilStopped(minutesMax: number): Promise<never> {
  return new Promise((_, reject) => {
    const timeOut = () => reject(new Error(`The time limit of ${minutesMax} minutes is over`));
    const timer = setTimeout(timeOut, minutesMax * 60_000);
    atEnd(async () => clearTimeout(timer));
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new Error(`${signal} received`)));
    }
  });
}
