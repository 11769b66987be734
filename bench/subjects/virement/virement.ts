import type { BenchDatabase } from '../../harness/databases.ts';
import type { LoadClient, LoadJob } from '../../harness/load-client.ts';
import type { LoopResult } from '../../harness/load-loop.ts';
import type { Subject, VirementId, Workload } from '../subject.ts';
import {
  createLedgerWithAccounts,
  type LedgerDatabase,
  untilIndexed,
  verifyLedger,
} from './ledger.ts';
import { bulkJob } from './requests.ts';
import { VirementServer } from './server.ts';

const LEDGER_DATABASES: Readonly<Record<VirementId, LedgerDatabase>> = {
  'virement-mariadb': 'mariadb',
  'virement-sqlite': 'sqlite',
};

/** The server under test with its database. The server can be restarted. */
export class Virement implements Subject {
  readonly id: VirementId;
  readonly #client: LoadClient;
  readonly #database: BenchDatabase;
  #server: VirementServer;

  private constructor(
    id: VirementId,
    client: LoadClient,
    database: BenchDatabase,
    server: VirementServer,
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
    const database = await createLedgerWithAccounts(LEDGER_DATABASES[id], id);
    const server = await VirementServer.start(database.url, { nodeOptions });
    return new Virement(id, client, database, server);
  }

  get server(): VirementServer {
    return this.#server;
  }

  get databaseUrl(): string {
    return this.#database.url;
  }

  perform(workload: Workload): Promise<LoopResult> {
    return this.run(bulkJob(this.#server.origin, workload));
  }

  run(job: LoadJob): Promise<LoopResult> {
    return this.#client.run(job);
  }

  async settle(): Promise<void> {
    await this.#server.untilPublished();
    await untilIndexed(this.#database.url);
  }

  stop(): Promise<void> {
    return this.#server.stop();
  }

  /** @param env settings in addition to the database */
  async start(env: Readonly<Record<string, string>> = {}): Promise<void> {
    this.#server = await VirementServer.start(this.#database.url, { env });
  }

  async verify(): Promise<void> {
    await this.stop();
    await verifyLedger(this.#database.url);
  }

  async close(): Promise<void> {
    await this.stop();
    await this.#database.drop();
  }
}
