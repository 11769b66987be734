/**
 * The floors: the raw driver without a server, on the tables of today and on those of November 2026. No server on MariaDB
 * can be expected to cost less than the floor of its tables.
 */
import {
  BULK_OF_1000,
  HOT_ACCOUNT_BULKS,
  IN_FLIGHT,
  MANY_ACCOUNTS_BULKS,
} from '../../harness/bulk-requests.ts';
import type { BenchDatabase } from '../../harness/databases.ts';
import { type LoopResult, ratePerS } from '../../harness/load-loop.ts';
import { WorkerProcess } from '../../harness/worker-process.ts';
import type { Subject, SubjectId, Workload } from '../subject.ts';
import { createLedgerOf2026, verifyLedgerOf2026 } from '../tables-2026-11/ledger.ts';
import { createLedgerWithAccounts, verifyLedger } from '../virement/ledger.ts';
import type { RawDriverJob, TablesName, ValueBinding } from './raw-driver.ts';

/** The fastest settings of the raw driver. */
export interface FloorTuning {
  readonly form: ValueBinding;
  /** Connections for requests to one account, and to many. */
  readonly hotConnections: number;
  readonly manyConnections: number;
}

const VALUE_BINDINGS = ['query', 'execute'] as const;

/** More connections wait for one account's lock. For many accounts, the database flushes their commits together. */
const CONNECTIONS = [1, 4, 32] as const;

export const FLOOR_IDS = ['floor', 'floor-2026-11'] as const satisfies readonly SubjectId[];

export type FloorId = (typeof FLOOR_IDS)[number];

/** The tables of a floor. */
interface FloorLedger {
  readonly tables: TablesName;
  create(): Promise<BenchDatabase>;
  /** @throws Error if the ledger is wrong */
  verify(databaseUrl: string): Promise<void>;
}

const LEDGERS: Readonly<Record<FloorId, FloorLedger>> = {
  floor: {
    tables: 'today',
    create: () => createLedgerWithAccounts('mariadb', 'floor'),
    verify: verifyLedger,
  },
  'floor-2026-11': {
    tables: '2026-11',
    create: () => createLedgerOf2026('floor_2026_11'),
    verify: verifyLedgerOf2026,
  },
};

export class Floor implements Subject {
  readonly id: FloorId;
  readonly #database: BenchDatabase;
  readonly #driver: WorkerProcess<RawDriverJob, LoopResult>;
  #tuning: FloorTuning = { form: 'execute', hotConnections: 1, manyConnections: 32 };

  private constructor(id: FloorId, database: BenchDatabase) {
    this.id = id;
    this.#database = database;
    const script = new URL('./raw-driver.ts', import.meta.url);
    this.#driver = new WorkerProcess(script, { DATABASE_URL: database.url });
  }

  static async open(id: FloorId): Promise<Floor> {
    return new Floor(id, await LEDGERS[id].create());
  }

  get tuning(): FloorTuning {
    return this.#tuning;
  }

  /**
   * Tries the settings in turn and keeps the fastest, so that the floor is as low as possible.
   * @param durationMs duration of each try
   */
  async tune(durationMs: number): Promise<void> {
    const driver = this.#driver;
    const sequential = { inFlight: 1, durationMs, countMax: Infinity };
    const { tables } = LEDGERS[this.id];
    const bulks = { tables, bulks: BULK_OF_1000, connections: 1, loop: sequential };
    const form = await fastest(VALUE_BINDINGS, (candidate) =>
      driver.run({ ...bulks, form: candidate }),
    );
    const loop = { ...sequential, inFlight: IN_FLIGHT };
    const hot = { tables, bulks: HOT_ACCOUNT_BULKS, form, loop };
    const many = { tables, bulks: MANY_ACCOUNTS_BULKS, form, loop };
    this.#tuning = {
      form,
      hotConnections: await fastest(CONNECTIONS, (connections) =>
        driver.run({ ...hot, connections }),
      ),
      manyConnections: await fastest(CONNECTIONS, (connections) =>
        driver.run({ ...many, connections }),
      ),
    };
  }

  perform({ bulks, loop }: Workload): Promise<LoopResult> {
    const { form, hotConnections, manyConnections } = this.#tuning;
    const isSequential = loop.inFlight === 1;
    const connections = bulks.length > 1 ? manyConnections : hotConnections;
    const { tables } = LEDGERS[this.id];
    return this.#driver.run({
      tables,
      bulks,
      loop,
      form,
      connections: isSequential ? 1 : connections,
    });
  }

  async settle(): Promise<void> {}

  async verify(): Promise<void> {
    await this.#driver.stop();
    await LEDGERS[this.id].verify(this.#database.url);
  }

  async close(): Promise<void> {
    await this.#driver.stop();
    await this.#database.drop();
  }
}

/** Returns the candidate with the highest rate in the better of two rounds. The first round is also the warm-up. */
async function fastest<Candidate>(
  candidates: readonly Candidate[],
  run: (candidate: Candidate) => Promise<LoopResult>,
): Promise<Candidate> {
  let best: { readonly candidate: Candidate; readonly rate: number } | undefined;
  for (const candidate of [...candidates, ...candidates]) {
    const rate = ratePerS(await run(candidate));
    if (!best || rate > best.rate) best = { candidate, rate };
  }
  if (!best) throw new Error('There is no candidate');
  return best.candidate;
}
