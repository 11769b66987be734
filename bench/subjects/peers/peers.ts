/** The peers: other servers that do the same job. Each runs in a process of its own, as durable as the server under test. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BenchDatabase, mysqlUrl } from '../../harness/databases.ts';
import type { LoadClient, LoadJob } from '../../harness/load-client.ts';
import { PACKAGES } from '../../harness/paths.ts';
import { ServerProcess } from '../../harness/server-process.ts';
import type { Subject, SubjectId, Workload } from '../subject.ts';
import { createLedgerOf2026, verifyLedgerOf2026 } from '../tables-2026-11/ledger.ts';
import { createPostgresLedger, verifyPostgresLedger } from '../tables-2026-11/postgres-ledger.ts';
import { bulkJob } from '../virement/requests.ts';
import { PERFORM_BY_FUNCTION } from './postgraphile/mutation.ts';

export const PEER_IDS = [
  'mercurius-postgres',
  'postgraphile',
  'yoga-prisma',
  'express-typeorm',
] as const satisfies readonly SubjectId[];

export type PeerId = (typeof PEER_IDS)[number];

interface Peer {
  /** Creates the database, its tables and the accounts of the bench. */
  createLedger(): Promise<BenchDatabase>;
  start(databaseUrl: string): Promise<ServerProcess>;
  job(origin: string, workload: Workload): LoadJob;
  /** @throws Error if the ledger is wrong */
  verify(databaseUrl: string): Promise<void>;
}

const serverFile = (id: PeerId) => join(import.meta.dirname, id, 'server.ts');

const startServer = (id: PeerId) => (databaseUrl: string) =>
  ServerProcess.start(serverFile(id), {
    env: { DATABASE_URL: mysqlUrl(databaseUrl), GRAPHILE_ENV: 'production' },
  });

/** Creates the tables that a common service has, with an index for each filter. */
const createMariaDbLedger = (id: PeerId) => () => createLedgerOf2026(id);

const createPostgresLedgerOf = (id: PeerId) => () =>
  createPostgresLedger(id, join(import.meta.dirname, id, 'functions.sql'));

const PEERS: Readonly<Record<PeerId, Peer>> = {
  postgraphile: {
    createLedger: createPostgresLedgerOf('postgraphile'),
    start: startServer('postgraphile'),
    job: (origin, workload) => ({
      ...bulkJob(origin, workload),
      bodies: workload.bulks.map((input) =>
        JSON.stringify({ query: PERFORM_BY_FUNCTION, variables: { input } }),
      ),
    }),
    verify: verifyPostgresLedger,
  },
  'mercurius-postgres': {
    createLedger: createPostgresLedgerOf('mercurius-postgres'),
    start: startServer('mercurius-postgres'),
    job: bulkJob,
    verify: verifyPostgresLedger,
  },
  'yoga-prisma': {
    createLedger: createMariaDbLedger('yoga-prisma'),
    start: async (databaseUrl) => {
      await generatePrismaClient();
      return startServer('yoga-prisma')(databaseUrl);
    },
    job: bulkJob,
    verify: verifyLedgerOf2026,
  },
  'express-typeorm': {
    createLedger: createMariaDbLedger('express-typeorm'),
    start: startServer('express-typeorm'),
    job: (origin, workload) => ({
      ...bulkJob(origin, workload),
      path: '/bulk-transfers',
      bodies: workload.bulks.map((bulk) => JSON.stringify(bulk)),
    }),
    verify: verifyLedgerOf2026,
  },
};

export async function openPeer(id: PeerId, client: LoadClient): Promise<Subject> {
  const peer = PEERS[id];
  const database = await peer.createLedger();
  const server = await peer.start(database.url);
  return {
    id,
    perform: (workload) => client.run(peer.job(server.origin, workload)),
    settle: async () => {},
    verify: async () => {
      await server.stop();
      await peer.verify(database.url);
    },
    close: async () => {
      await server.stop();
      await database.drop();
    },
  };
}

/**
 * Generates the Prisma client from its schema. Generation needs no engine, but Prisma would download
 * one; the variable names an existing program instead, which Prisma never runs.
 */
async function generatePrismaClient(): Promise<void> {
  const prisma = join(PACKAGES, 'prisma/build/index.js');
  const schema = join(import.meta.dirname, 'yoga-prisma/schema.prisma');
  await promisify(execFile)(process.execPath, [prisma, 'generate', '--schema', schema], {
    env: {
      ...process.env,
      CHECKPOINT_DISABLE: '1',
      PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    },
  });
}
