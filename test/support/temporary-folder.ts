import { statfsSync } from 'node:fs';
import { tmpdir } from 'node:os';

const IN_MEMORY = '/dev/shm';

/** The free memory that holds the databases of a whole run. */
const FREE_MIN_BYTES = 4 * 2 ** 30;

/**
 * Returns the folder for the tests' databases and other temporary files. In memory a commit does not wait for a disk. A
 * killed process loses nothing there, as on a disk; only a power failure differs.
 */
export function temporaryFolder(): string {
  if (process.env.TMPDIR) return process.env.TMPDIR;
  try {
    const { bavail, bsize } = statfsSync(IN_MEMORY);
    return bavail * bsize >= FREE_MIN_BYTES ? IN_MEMORY : tmpdir();
  } catch {
    return tmpdir();
  }
}
