import { cpus, release, totalmem, type } from 'node:os';

const GIB = 1_024 ** 3;

/** Returns the machine and the software of the bench by name, without the database servers. */
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

/** Returns a description of a machine as one line. */
export function machineLine(machine: Readonly<Record<string, string>>): string {
  return Object.entries(machine)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}
