import { execFile } from 'node:child_process';
import { mkdtemp, open, rm, rmdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';

const run = promisify(execFile);

/** A disk that a test can fill. */
export interface SmallDisk {
  readonly path: string;
  /** Writes until no further byte fits. */
  fill(): Promise<void>;
  /** Deletes what fill has written. */
  free(): Promise<void>;
}

const SIZE_MB = 96;

/** Returns the reason why no small disk can be mounted; undefined if one can. */
export async function missingSmallDisk(): Promise<string | undefined> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-disk-'));
  try {
    await mount(folder);
    await run('umount', [folder]);
    return undefined;
  } catch (error) {
    return `No disk can be mounted: ${error instanceof Error ? error.message : error}`;
  } finally {
    await rmdir(folder);
  }
}

export async function startSmallDisk(): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), 'virement-disk-'));
  await mount(path);
  onTestFinished(async () => {
    // A process that has a file open there ends soon.
    await run('umount', ['--lazy', path]);
    await rmdir(path);
  });
  const ballast = join(path, 'ballast');
  return {
    path,
    fill: async () => {
      const file = await open(ballast, 'a');
      try {
        for (const bytes of [1 << 20, 4_096, 1]) {
          const chunk = Buffer.alloc(bytes);
          while (await fits(file.write(chunk))) {}
        }
      } finally {
        await file.close();
      }
    },
    free: () => rm(ballast, { force: true }),
  };
}

async function fits(writing: Promise<{ readonly bytesWritten: number }>): Promise<boolean> {
  try {
    return (await writing).bytesWritten > 0;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return false;
    throw error;
  }
}

const mount = (path: string) =>
  run('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MB}m`, 'virement-test', path]);
