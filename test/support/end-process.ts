import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

const STOP_TIMEOUT_MS = 60_000;

/**
 * Ends a process with a signal, and with SIGKILL if it has not exited after STOP_TIMEOUT_MS. Does nothing if the process
 * was never started or has exited.
 * @returns the exit code, once the process has exited; null if a signal ended it
 */
export async function endProcess(
  child: ChildProcess | undefined,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<number | null> {
  if (!child) return null;
  if (child.exitCode === null && child.signalCode === null) {
    const exited = once(child, 'exit');
    child.kill(signal);
    const killTimer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS);
    await exited;
    clearTimeout(killTimer);
  }
  return child.exitCode;
}
