import { cpus, release, totalmem, type } from 'node:os';

const GIB = 1_024 ** 3;

/** What the figures are of, beside the databases. */
export function describeMachine(): Record<string, string> {
  const [cpu] = cpus();
  return {
    processor: `${cpus().length} × ${cpu?.model.trim() || 'unknown'}`,
    memory: `${Math.round(totalmem() / GIB)} GiB`,
    system: `${type()} ${release().split('-')[0]}`,
    'Node.js': process.versions.node,
    SQLite: process.versions.sqlite ?? 'none',
  };
}
