/** Opens each subject: a database of its own with the bench's accounts, and a process. */

import { HOT, IN_FLIGHT, MANY, THOUSAND } from '../harness/bulk-requests.ts';
import { type BenchDatabase, createMariaDb, createSqliteFile } from '../harness/databases.ts';
import type { LoadJob } from '../harness/load-client.ts';
import { type Run, ratePerS } from '../harness/load-loop.ts';
import type { ServerProcess } from '../harness/server-process.ts';
import { Worker } from '../harness/worker-process.ts';
import type { FloorForm, FloorJob } from './floor/driver.ts';
import { PEERS, type PeerId } from './peers/peers.ts';
import type { Subject, Work } from './subject.ts';
import {
  bulkJob,
  prepareLedger,
  startVirement,
  untilPublished,
  verifyLedger,
} from './virement/server.ts';

export type LoadClient = Worker<LoadJob, Run>;

/** How the floor turned out to be fastest. */
export interface FloorTuning {
  readonly form: FloorForm;
  /** Connections for requests to one account, and to many. */
  readonly hotConnections: number;
  readonly manyConnections: number;
}

const FLOOR_FORMS = ['query', 'execute'] as const;

/** On one account's lock more connections only wait for each other; on many, their commits are flushed together. */
const FLOOR_CONNECTIONS = [1, 4, 32] as const;

export class Floor implements Subject {
  readonly id = 'floor';
  readonly #database: BenchDatabase;
  readonly #worker: Worker<FloorJob, Run>;
  #tuning: FloorTuning = { form: 'execute', hotConnections: 1, manyConnections: 32 };

  private constructor(database: BenchDatabase) {
    this.#database = database;
    this.#worker = new Worker('../subjects/floor/driver.ts', { DATABASE_URL: database.url });
  }

  static async open(): Promise<Floor> {
    const database = await createMariaDb('floor');
    await prepareLedger(database.url);
    return new Floor(database);
  }

  get tuning(): FloorTuning {
    return this.#tuning;
  }

  /**
   * Tries every way by turns and keeps the faster, so that nobody compares with a floor that could be
   * lower.
   * @param durationMs of each try
   */
  async tune(durationMs: number): Promise<void> {
    const worker = this.#worker;
    const sequential = { inFlight: 1, durationMs, countMax: Infinity };
    const bulks = { orders: THOUSAND, connections: 1, loop: sequential };
    const form = await fastest(FLOOR_FORMS, (candidate) =>
      worker.run({ ...bulks, form: candidate }),
    );
    const hot = {
      orders: HOT,
      form,
      loop: { ...sequential, inFlight: IN_FLIGHT },
    };
    const many = { ...hot, orders: MANY };
    this.#tuning = {
      form,
      hotConnections: await fastest(FLOOR_CONNECTIONS, (connections) =>
        worker.run({ ...hot, connections }),
      ),
      manyConnections: await fastest(FLOOR_CONNECTIONS, (connections) =>
        worker.run({ ...many, connections }),
      ),
    };
  }

  perform(work: Work): Promise<Run> {
    const { form, hotConnections, manyConnections } = this.#tuning;
    const isAlone = work.loop.inFlight === 1;
    const connections = work.orders.length > 1 ? manyConnections : hotConnections;
    return this.#worker.run({ ...work, form, connections: isAlone ? 1 : connections });
  }

  async settle(): Promise<void> {}

  async verify(): Promise<void> {
    await this.#worker.stop();
    await verifyLedger(this.#database.url);
  }

  async close(): Promise<void> {
    await this.#worker.stop();
    await this.#database.drop();
  }
}

/** The candidate with the most requests per second in the better of two rounds; the first is also the warm-up. */
async function fastest<Candidate>(
  candidates: readonly Candidate[],
  run: (candidate: Candidate) => Promise<Run>,
): Promise<Candidate> {
  let best: { readonly candidate: Candidate; readonly rate: number } | undefined;
  for (const candidate of [...candidates, ...candidates]) {
    const rate = ratePerS(await run(candidate));
    if (!best || rate > best.rate) best = { candidate, rate };
  }
  if (!best) throw new Error('There is no candidate');
  return best.candidate;
}

export async function openPeer(id: PeerId, client: LoadClient): Promise<Subject> {
  const peer = PEERS[id];
  const database = await peer.prepare();
  const server = await peer.start(database.url);
  return {
    id,
    perform: (work) => client.run(peer.job(server.origin, work)),
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

export const VIREMENT_IDS = ['virement-mariadb', 'virement-sqlite'] as const;

export type VirementId = (typeof VIREMENT_IDS)[number];

/** Our server, which can be started anew on its database. */
export class Virement implements Subject {
  readonly id: VirementId;
  readonly #client: LoadClient;
  readonly #database: BenchDatabase;
  #server: ServerProcess;

  private constructor(
    id: VirementId,
    client: LoadClient,
    database: BenchDatabase,
    server: ServerProcess,
  ) {
    this.id = id;
    this.#client = client;
    this.#database = database;
    this.#server = server;
  }

  static async open(
    id: VirementId,
    client: LoadClient,
    nodeOptions: readonly string[] = [],
  ): Promise<Virement> {
    const database = id === 'virement-mariadb' ? await createMariaDb(id) : await createSqliteFile();
    await prepareLedger(database.url);
    const server = await startVirement(database.url, nodeOptions);
    return new Virement(id, client, database, server);
  }

  get origin(): string {
    return this.#server.origin;
  }

  get databaseUrl(): string {
    return this.#database.url;
  }

  perform: Subject['perform'] = (work) => this.#client.run(bulkJob(this.origin, work));

  run(job: LoadJob): Promise<Run> {
    return this.#client.run(job);
  }

  resident(): ReturnType<ServerProcess['resident']> {
    return this.#server.resident();
  }

  settle(): Promise<void> {
    return untilPublished(this.origin);
  }

  async stop(): Promise<void> {
    await this.#server.stop();
  }

  /** @param env what it is to know beside its database */
  async start(env?: Readonly<Record<string, string>>): Promise<void> {
    this.#server = await startVirement(this.#database.url, [], env);
  }

  async verify(): Promise<void> {
    await this.#server.stop();
    await verifyLedger(this.#database.url);
  }

  async close(): Promise<void> {
    await this.#server.stop();
    await this.#database.drop();
  }
}
