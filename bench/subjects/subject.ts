/** The interface of the servers and programs that the bench compares, and the name of each. */
import type { BulkRequest } from '../harness/bulk-requests.ts';
import type { LoadLoop, LoopResult } from '../harness/load-loop.ts';

/** The order of the columns in tables and charts. */
export const SUBJECT_IDS = [
  'floor-2026-11',
  'floor',
  'virement-mariadb',
  'virement-sqlite',
  'mercurius-postgres',
  'postgraphile',
  'yoga-prisma',
  'express-typeorm',
] as const;

export type SubjectId = (typeof SUBJECT_IDS)[number];

export const VIREMENT_IDS = [
  'virement-mariadb',
  'virement-sqlite',
] as const satisfies readonly SubjectId[];

/** The server under test, on each of its databases. */
export type VirementId = (typeof VIREMENT_IDS)[number];

export function isVirement(id: SubjectId): id is VirementId {
  return VIREMENT_IDS.some((virement) => virement === id);
}

/** The title of each subject, with the database of its ledger. */
export const SUBJECT_TITLES: Readonly<Record<SubjectId, string>> = {
  'floor-2026-11': 'the floor of 2026-11: mysql2 on MariaDB',
  floor: 'the floor: mysql2 on MariaDB',
  'virement-mariadb': 'Virement on MariaDB',
  'virement-sqlite': 'Virement on SQLite',
  'mercurius-postgres': 'Mercurius and COPY on PostgreSQL',
  postgraphile: 'PostGraphile on PostgreSQL',
  'yoga-prisma': 'Yoga and Prisma on MariaDB',
  'express-typeorm': 'Express and TypeORM on MariaDB',
};

/** The bulks that a subject performs, and the loop that sends them. */
export interface Workload {
  /** Sent in turn. */
  readonly bulks: readonly BulkRequest[];
  readonly loop: LoadLoop;
  /** Whether the answer includes the first 100 transfers. */
  readonly returnsTransfers?: true;
  /** Whether each request has an idempotency key. */
  readonly hasKeys?: true;
}

/** A running server or program that performs bulks. */
export interface Subject {
  readonly id: SubjectId;
  perform(workload: Workload): Promise<LoopResult>;
  /** Waits until the subject has finished the work that continues after its answers. */
  settle(): Promise<void>;
  /** Stops the subject and recounts its ledger. @throws Error if the ledger is wrong */
  verify(): Promise<void>;
  /** Stops the subject and drops its database. It may be called twice. */
  close(): Promise<void>;
}
