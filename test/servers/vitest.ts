import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Numbers of tests. */
export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface VitestResult {
  readonly hasPassed: boolean;
  /** The counts; undefined if vitest ended before it could count. */
  readonly counts: Counts | undefined;
}

/** Runs vitest in the foreground. */
export async function runVitest(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  signal: AbortSignal,
): Promise<VitestResult> {
  const report = join(tmpdir(), `virement-servers-${process.pid}.json`);
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  try {
    const child = spawn('vitest', ['run', ...args, ...reporters], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'inherit'],
      signal,
    });
    const [code] = await once(child, 'exit');
    return { hasPassed: code === 0, counts: await countsIn(report) };
  } finally {
    await rm(report, { force: true });
  }
}

async function countsIn(report: string): Promise<Counts | undefined> {
  const text = await readFile(report, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { numPassedTests, numFailedTests, numPendingTests } = JSON.parse(text);
  return { passed: numPassedTests, failed: numFailedTests, skipped: numPendingTests };
}
