import type { BulkOrder } from '../harness/bulk-requests.ts';
import type { Loop, Run } from '../harness/load-loop.ts';

/** In the order in which they are shown. */
export const SUBJECT_IDS = [
  'floor',
  'virement-mariadb',
  'virement-sqlite',
  'postgraphile',
  'yoga-prisma',
  'express-typeorm',
] as const;

export type SubjectId = (typeof SUBJECT_IDS)[number];

/** What each is, and where it keeps the ledger. */
export const SUBJECT_TITLES: Readonly<Record<SubjectId, string>> = {
  floor: 'the floor: mysql2 on MariaDB',
  'virement-mariadb': 'Virement on MariaDB',
  'virement-sqlite': 'Virement on SQLite',
  postgraphile: 'PostGraphile on PostgreSQL',
  'yoga-prisma': 'Yoga and Prisma on MariaDB',
  'express-typeorm': 'Express and TypeORM on MariaDB',
};

/** What is asked for, and how it is asked. */
export interface Work {
  /** Sent in turn. */
  readonly orders: readonly BulkOrder[];
  readonly loop: Loop;
  /** Whether the answer brings the first 100 transfers. */
  readonly answersTransfers?: true;
  /** Whether each request has an idempotency key. */
  readonly hasKeys?: true;
}

/** Something that performs bulks; it runs from when it is there until it is stopped. */
export interface Subject {
  readonly id: SubjectId;
  perform(work: Work): Promise<Run>;
  /** Waits until nothing of what it was asked for goes on behind its answers. */
  settle(): Promise<void>;
  /** Stops it and recounts its ledger. @throws Error where the ledger is wrong */
  verify(): Promise<void>;
  /** Stops it and drops its database; again is fine. */
  close(): Promise<void>;
}
