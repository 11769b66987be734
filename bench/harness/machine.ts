import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { cpus, release, tmpdir, totalmem, type } from 'node:os';
import { join } from 'node:path';
import { percentile } from './statistics.ts';

const GIB = 1_024 ** 3;

const BLOCK = Buffer.alloc(4_096);
const WRITES = 100;

/** Returns the machine and the software of the bench by name, without the database servers. */
export function describeMachine(): Record<string, string> {
  const [cpu] = cpus();
  return {
    processor: `${cpus().length} × ${cpu?.model.trim() || 'unknown'}`,
    memory: `${Math.round(totalmem() / GIB)} GiB`,
    system: `${type()} ${release().split('-')[0]}`,
    disk: `${durableWriteMs().toFixed(2)} ms for a durable write of 4 KiB`,
    'Node.js': process.versions.node,
    SQLite: process.versions.sqlite ?? 'none',
  };
}

/**
 * Returns the median time that the disk of the temporary folder takes to make a block durable. A commit cannot be faster,
 * so the disk limits the rate of a subject that commits each transfer by itself.
 */
function durableWriteMs(): number {
  const folder = mkdtempSync(join(tmpdir(), 'virement-bench-disk-'));
  const file = openSync(join(folder, 'block'), 'w');
  const timesMs = Array.from({ length: WRITES }, () => {
    const startedAt = performance.now();
    writeSync(file, BLOCK);
    fdatasyncSync(file);
    return performance.now() - startedAt;
  });
  closeSync(file);
  rmSync(folder, { recursive: true });
  return percentile(timesMs, 0.5);
}

/** Returns a description of a machine as one line. */
export function machineLine(machine: Readonly<Record<string, string>>): string {
  return Object.entries(machine)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}
