import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

/** A wall clock for the servers that are started with its environment. */
export interface Clock {
  readonly env: NodeJS.ProcessEnv;
  /** Sets the clock ahead of the machine's by this time; a negative time sets it back. */
  jumpTo(shiftMs: number): Promise<void>;
}

export async function startClock(): Promise<Clock> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-clock-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  const file = join(folder, 'shift-ms');
  const preload = fileURLToPath(new URL('shifted-clock.ts', import.meta.url));
  const jumpTo = async (shiftMs: number) => {
    // A rename is atomic: no reader sees half of the file.
    await writeFile(`${file}.new`, String(shiftMs));
    await rename(`${file}.new`, file);
  };
  await jumpTo(0);
  return { env: { NODE_OPTIONS: `--import=${preload}`, SHIFTED_CLOCK_FILE: file }, jumpTo };
}
