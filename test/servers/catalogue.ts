import { startMariaDb, startMySql } from './database-server.ts';
import type { PackageRequest } from './debian-packages.ts';
import { startUnpackedRabbitMq } from './rabbitmq-server.ts';
import type { RunningServer } from './running-server.ts';

/** A server that Debian packages, and the projects of vitest that depend on it. */
export interface Server extends PackageRequest {
  /** The product and the Debian release, which has one current version of it. */
  readonly name: string;
  readonly projects: readonly string[];
  /** @param root folder with the unpacked packages */
  start(root: string, signal: AbortSignal): Promise<RunningServer>;
}

const RABBITMQ = {
  packages: ['rabbitmq-server'],
  projects: ['rabbitmq', 'rabbitmq-sqlite'],
  start: startUnpackedRabbitMq,
};

export const SERVERS: readonly Server[] = [
  {
    name: 'mysql-sid',
    suite: 'sid',
    packages: ['mysql-server-core'],
    projects: ['mysql'],
    start: startMySql,
  },
  {
    name: 'mariadb-trixie',
    suite: 'trixie',
    packages: ['mariadb-server-core'],
    projects: ['mysql'],
    start: startMariaDb,
  },
  { name: 'rabbitmq-trixie', suite: 'trixie', ...RABBITMQ },
  { name: 'rabbitmq-sid', suite: 'sid', ...RABBITMQ },
];
