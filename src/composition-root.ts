/** Creates every object in start order. Only this file depends on all layers. */

// This import must come before any decorator of type-graphql runs.
import 'reflect-metadata';

import type { FastifyInstance } from 'fastify';
import type { ClassType } from 'type-graphql';
import { type CreateExport, makeCreateExport } from './application/create-export.js';
import { type CreditAccount, makeCreditAccount } from './application/credit-account.js';
import { makeOpenExport } from './application/export-files.js';
import {
  type FindOrderWarnings,
  makeFindOrderWarnings,
} from './application/find-order-warnings.js';
import {
  type FindTransferWarnings,
  makeFindTransferWarnings,
} from './application/find-transfer-warnings.js';
import { makeImportOrders } from './application/import-orders.js';
import { makeApiKeyCheck, makeManageApiKeys } from './application/manage-api-keys.js';
import {
  type ManageDeadLetters,
  makeManageDeadLetters,
} from './application/manage-dead-letters.js';
import { type ManageOrders, makeManageOrders } from './application/manage-orders.js';
import { type ManageWebhooks, makeManageWebhooks } from './application/manage-webhooks.js';
import { makeOpenAccount, type OpenAccount } from './application/open-account.js';
import {
  makePerformBulkTransfer,
  type PerformBulkTransfer,
} from './application/perform-bulk-transfer.js';
import { makePerformOrder } from './application/perform-order.js';
import type { ApiKeyStore } from './application/ports/api-key-store.js';
import type { AuditLog } from './application/ports/audit-log.js';
import type { Clock } from './application/ports/clock.js';
import type { DeadLetterStore } from './application/ports/dead-letters.js';
import type { ExportLinks, OpenExport } from './application/ports/exports.js';
import type { ImportOrders } from './application/ports/import-orders.js';
import type { LedgerReader } from './application/ports/ledger-reader.js';
import type { OrderFeeds } from './application/ports/order-feeds.js';
import type { OrderStore } from './application/ports/order-store.js';
import type { OutboxAdmin } from './application/ports/outbox-admin.js';
import type { WebhookStore } from './application/ports/webhook-store.js';
import { DEMO_ACCOUNTS, seedDemo } from './application/seed-demo.js';
import {
  makeValidateBulkTransfer,
  type ValidateBulkTransfer,
} from './application/validate-bulk-transfer.js';
import { type Config, ConfigError } from './config.js';
import { makeNewId, type NewId } from './domain/id.js';
import { ORDER_ROWS_MAX } from './domain/order.js';
import { VERSION } from './files.js';
import type { Broker, DeadLetterBroker } from './infrastructure/broker/broker.js';
import { InProcessBroker } from './infrastructure/broker/in-process-broker.js';
import { RabbitMqBroker } from './infrastructure/broker/rabbitmq-broker.js';
import { makeDatabaseProbe } from './infrastructure/database/database-probe.js';
import { DatabaseWatch } from './infrastructure/database/database-watch.js';
import type { Database } from './infrastructure/database/dialect.js';
import { requireMigrated } from './infrastructure/database/migrations.js';
import { openDatabase } from './infrastructure/database/open-database.js';
import { missingOf } from './infrastructure/database/unavailability.js';
import { makeDeadLetterReceiver } from './infrastructure/dead-letters/dead-letter-message.js';
import { MikroOrmDeadLetters } from './infrastructure/dead-letters/dead-letters.js';
import { EventLoopTurns } from './infrastructure/fair-turns.js';
import { Hub } from './infrastructure/feeds/hub.js';
import { ORDER_FILE_READERS } from './infrastructure/files-in/readers.js';
import { SignedExportLinks } from './infrastructure/files-out/export-links.js';
import { FILE_WRITERS } from './infrastructure/files-out/file-writers.js';
import { MikroOrmApiKeys } from './infrastructure/ledger/api-keys.js';
import { MikroOrmAuditLog } from './infrastructure/ledger/audit-log.js';
import { MikroOrmLedgerReader } from './infrastructure/ledger/ledger-reader.js';
import { MikroOrmScopedLedgerReader } from './infrastructure/ledger/scoped-ledger-reader.js';
import { MikroOrmUnitOfWork } from './infrastructure/ledger/unit-of-work.js';
import { BulkMeter } from './infrastructure/observability/bulk-meter.js';
import type { Logger } from './infrastructure/observability/logger.js';
import {
  makeMetrics,
  type OrderCounts,
  type WebhookCounts,
} from './infrastructure/observability/metrics.js';
import { OperationMeter } from './infrastructure/observability/operation-meter.js';
import { makeOutageLog } from './infrastructure/observability/outage-log.js';
import { OrderWatch } from './infrastructure/orders/order-watch.js';
import { OrderWorker } from './infrastructure/orders/order-worker.js';
import { MikroOrmOrders } from './infrastructure/orders/orders.js';
import { Outbox, type Publisher } from './infrastructure/outbox/outbox.js';
import { Relay, type RelayPorts } from './infrastructure/outbox/relay.js';
import { type CommitFollower, Indexer, NO_FOLLOWER } from './infrastructure/search/indexer.js';
import { WebhookDispatcher } from './infrastructure/webhooks/dispatcher.js';
import { receiverUrlProblems } from './infrastructure/webhooks/egress-policy.js';
import { CALLS_MAX, type EndpointKey } from './infrastructure/webhooks/endpoints.js';
import { WebhookFanOut } from './infrastructure/webhooks/fan-out.js';
import { WebhookSender } from './infrastructure/webhooks/webhook-sender.js';
import { MikroOrmWebhooks } from './infrastructure/webhooks/webhooks.js';
import {
  AccountExistsResolver,
  AccountResolver,
  StatementResolver,
} from './resolvers/account.resolver.js';
import { ApiKeyResolver } from './resolvers/api-key.resolver.js';
import { AuditResolver } from './resolvers/audit.resolver.js';
import { buildSchema } from './resolvers/build-schema.js';
import {
  BulkTransferResolver,
  IdempotencyKeyReusedResolver,
} from './resolvers/bulk-transfer.resolver.js';
import { DeadLetterResolver } from './resolvers/dead-letter.resolver.js';
import { ExportResolver } from './resolvers/export.resolver.js';
import { ImportResolver } from './resolvers/import.resolver.js';
import { IncomingTransferResolver } from './resolvers/incoming-transfer.resolver.js';
import { LedgerEntryResolver } from './resolvers/ledger-entry.resolver.js';
import { NodeResolver } from './resolvers/node.resolver.js';
import {
  OrderResolver,
  OrderStateConflictResolver,
  OrderWarningResolver,
} from './resolvers/order.resolver.js';
import { MeResolver, OrganizationResolver } from './resolvers/organization.resolver.js';
import { OutboxMessageResolver, OutboxResolver } from './resolvers/outbox.resolver.js';
import { SubscriptionResolver } from './resolvers/subscription.resolver.js';
import { TransferResolver } from './resolvers/transfer.resolver.js';
import {
  PerformedWarningsResolver,
  TransferWarningResolver,
  ValidationWarningsResolver,
} from './resolvers/transfer-warning.resolver.js';
import { WebhookDeliveryResolver, WebhookResolver } from './resolvers/webhook.resolver.js';
import { makeAuthenticator } from './server/access/authentication.js';
import { makeAddressOf } from './server/access/remote-address.js';
import { loadTrustedDocuments } from './server/access/trusted-documents.js';
import type { ServerDescription } from './server/landing-page.js';
import { makeMetricsServer } from './server/metrics.js';
import { OperationLog } from './server/operation-log.js';
import { makeHttpServer } from './server/server.js';

/** The use cases of the server, without a transport. */
export interface Application {
  readonly reader: LedgerReader;
  readonly performBulkTransfer: PerformBulkTransfer;
  /** Performs a bulk of an order, which may have more transfers. */
  readonly performOrderBulk: PerformBulkTransfer;
  readonly validateBulkTransfer: ValidateBulkTransfer;
  readonly findTransferWarnings: FindTransferWarnings;
  readonly openAccount: OpenAccount;
  readonly creditAccount: CreditAccount;
}

/** A server that is ready to listen. */
export interface Server {
  readonly http: FastifyInstance;
  /** The server of the metrics' separate port, if there is one. */
  readonly metricsHttp: FastifyInstance | undefined;
  readonly database: Database;
  /** Lets requests in progress finish, then closes everything in reverse order of start. */
  close(): Promise<void>;
}

const wallClock = () => new Date();

/**
 * The statement timeout is shorter than the request timeout by this margin, so the database reports the slow statement
 * first.
 */
const STATEMENT_MARGIN_MS = 500;

/** A process has one event loop, so it has one instance. */
const turns = new EventLoopTurns();

/** Hooks of a server, which a program that performs bulks once does not have. */
export interface ServerHooks {
  readonly watch: DatabaseWatch;
  readonly newId: NewId;
  readonly follower: CommitFollower;
  readonly meter: BulkMeter;
}

/** Makes the use cases over a database. */
export function composeApplication(
  config: Config,
  database: Database,
  publisher: Publisher,
  hooks?: ServerHooks,
): Application {
  const reader = new MikroOrmLedgerReader(database);
  const { lockTimeoutMs } = config;
  const meter = hooks?.meter ?? new BulkMeter();
  const follower = hooks?.follower ?? NO_FOLLOWER;
  const own = new MikroOrmUnitOfWork(database, lockTimeoutMs, publisher, { follower, meter });
  const unitOfWork = hooks?.watch.guard(own) ?? own;
  const clock = hooks?.watch.now ?? wallClock;
  const newId = hooks?.newId ?? makeNewId(clock);
  const { ibanCheck, bulkTransfersMax: transfersMax, requiresIdempotencyKey } = config;
  const rules = { ibanCheck, transfersMax, requiresIdempotencyKey };
  const preparation = { reader, turns, rules };
  const { runPhase } = meter;
  const ports = { ...preparation, unitOfWork, clock, newId, runPhase };
  const counted =
    (perform: PerformBulkTransfer): PerformBulkTransfer =>
    (...request) =>
      meter.count(perform(...request));
  return {
    reader,
    performBulkTransfer: counted(makePerformBulkTransfer(ports)),
    performOrderBulk: counted(
      makePerformBulkTransfer({
        ...ports,
        // An order keeps the size of its bulks, which another server or setting may have chosen.
        rules: { ...rules, transfersMax: ORDER_ROWS_MAX },
      }),
    ),
    validateBulkTransfer: makeValidateBulkTransfer(preparation),
    findTransferWarnings: makeFindTransferWarnings({ turns, clock }),
    openAccount: makeOpenAccount({ reader, unitOfWork, clock, newId, ibanCheck }),
    creditAccount: makeCreditAccount({ reader, unitOfWork, clock, newId, requiresIdempotencyKey }),
  };
}

/**
 * Makes the whole server.
 * @throws DatabaseInUseError, NotMigratedError, or the error of the database's driver
 */
export async function composeServer(config: Config, logger: Logger): Promise<Server> {
  const { authentication } = config;
  if (authentication.mode === 'missing') throw new ConfigError(authentication.reason);
  const trustedDocuments = await loadTrustedDocuments(config, logger);
  const database = await openServerDatabase(config, logger);
  const stops: (() => Promise<void>)[] = [() => database.close()];
  const stop = () => stopAll(stops.splice(0).reverse());
  try {
    await requireMigrated(database);
    const watch = await DatabaseWatch.start({ database, skewMaxMs: config.clockSkewMsMax, logger });
    stops.push(async () => watch.stop());
    const clock = watch.now;
    const newId = makeNewId(clock);
    const broker = await startBroker(config, logger);
    stops.push(() => broker.close());
    const outbox = new Outbox(database.orm, clock, newId);
    const feeds = new Hub(new MikroOrmLedgerReader(database), broker, logger);
    const onChange = feeds.noteChanges.bind(feeds);
    const relay = composeRelay(config, database, { outbox, broker, clock, logger, onChange });
    await relay.start();
    stops.push(() => relay.stop());
    stops.push(() => feeds.close());
    const indexer = new Indexer(database, logger);
    stops.push(() => indexer.stop());
    const webhooks = startWebhooks(config, database, { clock, newId, logger });
    stops.push(() => webhooks.stop());
    const follower = followersOf(indexer, webhooks.fanOut);
    const hooks = { watch, newId, follower, meter: new BulkMeter() };
    const application = composeApplication(config, database, relay, hooks);
    await seedDemoCompanies(config, database, relay, logger);
    const orders = await startOrders(config, database, application, { clock, newId, logger });
    stops.push(() => orders.stop());
    indexer.start();
    const exports = composeExports(config, orders.store, { clock, newId });
    const apiKeys = new MikroOrmApiKeys(database.orm, clock, newId);
    const audit = new MikroOrmAuditLog(database, clock, newId, logger);
    const letters = keepDeadLetters(database, broker, { clock, newId, audit, logger });
    const meters = { bulks: hooks.meter, operations: new OperationMeter() };
    const { deadLetters } = letters;
    const events = { outbox, relay, broker, deadLetters, feeds, webhooks, orders };
    const readMetrics = makeMetrics({ ...events, database, meters });
    const metricsHttp = makeMetricsServer({ readMetrics, logger, settings: config });
    stops.push(async () => metricsHttp?.close());
    const ports = { outbox, apiKeys, ...letters, ...exports, clock, newId };
    const http = await makeHttpServer({
      schema: buildSchema(resolverContainer(application, ports, webhooks, orders)),
      scopeLedger: (...scope) => new MikroOrmScopedLedgerReader(database, indexer, ...scope),
      feeds,
      orderFeeds: orders.feeds,
      importOrders: orders.importOrders,
      ...exports,
      audit,
      authenticator: await makeAuthenticator(authentication, makeApiKeyCheck(apiKeys, clock)),
      isOpen: authentication.mode === 'off',
      addressOf: makeAddressOf(config.trustedProxies),
      logger,
      settings: config,
      description: descriptionOf(config),
      trustedDocuments,
      turns,
      probeDatabase: await makeDatabaseProbe(database, watch),
      isBrokerReady: () => broker.isReady,
      isRelayCaughtUp: () => relay.isCaughtUp,
      isSearchReady: () => watch.isSearchUsable && !indexer.isFailing,
      readMetrics,
      operationLog: new OperationLog(logger, meters.operations, config.loggedOperations),
    });
    stops.push(() => http.close());
    warnIfOpen(config, logger);
    return { http, metricsHttp, database, close: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Opens the database, whose outages are logged at intervals. */
function openServerDatabase(config: Config, logger: Logger): Promise<Database> {
  const logOutage = makeOutageLog(logger, 'Database unavailable');
  return openDatabase({
    ...config,
    statementTimeoutMs: config.requestTimeoutMs - STATEMENT_MARGIN_MS,
    onUnavailable: (reason, error) =>
      logOutage(error, { reason, missing: missingOf(reason, error) }),
  });
}

function warnIfOpen({ authentication }: Config, logger: Logger): void {
  if (authentication.mode !== 'off') return;
  logger.warn('Authentication off: every user of this machine can move money (AUTH=off)');
}

const DATABASE_NAMES: Readonly<Record<string, string>> = {
  sqlite: 'SQLite, embedded',
  mysql: 'MySQL',
  mariadb: 'MariaDB',
};

function descriptionOf({ databaseUrl, authentication, seedDemo }: Config): ServerDescription {
  return {
    version: VERSION,
    database: DATABASE_NAMES[databaseUrl.slice(0, databaseUrl.indexOf(':'))] ?? '',
    demoAccounts: seedDemo ? DEMO_ACCOUNTS : [],
    isOpen: authentication.mode === 'off',
  };
}

/** Stops everything, and continues after a failure. */
async function stopAll(stops: readonly (() => Promise<void>)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const stopOne of stops) {
    await stopOne().catch((error: unknown) => failures.push(error));
  }
  if (failures.length > 0)
    throw new AggregateError(failures, 'Some parts of the server failed to stop');
}

function startBroker({ amqpUrl }: Config, logger: Logger): Promise<Broker & DeadLetterBroker> {
  return amqpUrl === undefined
    ? Promise.resolve(new InProcessBroker())
    : RabbitMqBroker.start(amqpUrl, logger);
}

function composeRelay(
  config: Config,
  database: Database,
  ports: Omit<RelayPorts, 'presence' | 'reader' | 'retentionMs'>,
): Relay {
  const reader = new MikroOrmLedgerReader(database);
  const retentionMs = config.outboxRetentionMs;
  const { presence } = database;
  return new Relay({ ...ports, presence, reader, retentionMs });
}

/** The webhooks of companies, and the parts that call them. */
interface Webhooks {
  readonly store: WebhookStore;
  readonly useCases: ManageWebhooks;
  readonly fanOut: WebhookFanOut;
  readonly counts: WebhookCounts;
  stop(): Promise<void>;
}

function startWebhooks(
  config: Config,
  database: Database,
  ports: { readonly clock: Clock; readonly newId: NewId; readonly logger: Logger },
): Webhooks {
  const { clock, newId } = ports;
  const reader = new MikroOrmLedgerReader(database);
  const allowsLoopback = config.authentication.mode === 'off';
  const { webhookProxyUrl: proxyUrl, webhookRetentionMs: retentionMs } = config;
  // Webhooks of several companies may be at one origin, and must not wait for each other's connections.
  const connectionsPerOrigin = CALLS_MAX;
  const sender = new WebhookSender({ allowsLoopback, proxyUrl, connectionsPerOrigin });
  const dispatcher = new WebhookDispatcher({ ...ports, database, reader, sender, retentionMs });
  const onDeliveries = (webhook: EndpointKey) => dispatcher.noteDue(webhook);
  const fanOut = new WebhookFanOut({ ...ports, database, reader, onDeliveries });
  const onDue = () => dispatcher.wake();
  const onEvents = () => {
    fanOut.noteWebhooks();
    dispatcher.wake();
  };
  const store = new MikroOrmWebhooks(database, clock, newId);
  const urlProblems = (url: string) => receiverUrlProblems(url, { allowsLoopback });
  const rules = { clock, newId, urlProblems, onEvents, onDue };
  dispatcher.start();
  fanOut.start();
  return {
    store,
    useCases: makeManageWebhooks({ webhooks: store, reader, ...rules }),
    fanOut,
    counts: dispatcher,
    stop: async () => {
      await fanOut.stop();
      await dispatcher.stop();
      await sender.close();
    },
  };
}

/** Begins to keep the dead letters of the broker. */
function keepDeadLetters(
  { orm }: Database,
  broker: DeadLetterBroker,
  { clock, newId, audit, logger }: DeadLetterPorts,
): Pick<ResolverPorts, 'deadLetters' | 'manageDeadLetters'> {
  const deadLetters = new MikroOrmDeadLetters(orm, clock, newId);
  broker.receiveDeadLetters(makeDeadLetterReceiver({ deadLetters, clock, logger }));
  return {
    deadLetters,
    manageDeadLetters: makeManageDeadLetters({ deadLetters, queues: broker, audit }),
  };
}

interface DeadLetterPorts {
  readonly clock: Clock;
  readonly newId: NewId;
  readonly audit: AuditLog;
  readonly logger: Logger;
}

/** Bulk transfer orders, and the part that performs them. */
interface Orders {
  readonly store: OrderStore;
  readonly useCases: ManageOrders;
  readonly importOrders: ImportOrders;
  readonly findOrderWarnings: FindOrderWarnings;
  readonly feeds: OrderFeeds;
  readonly counts: OrderCounts;
  stop(): Promise<void>;
}

/** The time after which rows that were not all added are deleted, unless further rows are added. */
const READING_LEASE_MS = 120_000;

async function startOrders(
  config: Config,
  database: Database,
  { reader, performOrderBulk: performBulkTransfer, findTransferWarnings }: Application,
  ports: { readonly clock: Clock; readonly newId: NewId; readonly logger: Logger },
): Promise<Orders> {
  const { clock, newId, logger } = ports;
  const { orderRetentionMs: retentionMs, orderBulkTransfersMax: bulkRowsMax } = config;
  const { ibanCheck, bankRules } = config;
  const orders = new MikroOrmOrders(database, newId, retentionMs);
  const watch = new OrderWatch(orders, logger);
  const holder = newId();
  const leaseOf = () => ({ holder, until: new Date(clock().getTime() + READING_LEASE_MS) });
  const worker = new OrderWorker({
    ...{ ...ports, orders, retentionMs, holder, presence: database.presence },
    performOrder: makePerformOrder({ orders, reader, performBulkTransfer, clock, retentionMs }),
    onProgress: (id, progress) => watch.noteProgress(id, progress),
  });
  await worker.start();
  const rules = { ibanCheck, transfersMax: bulkRowsMax };
  const onAbandoned = () => worker.endDueSoon();
  const ofRows = { orders, reader, rules, bankRules, turns, clock, newId, leaseOf, onAbandoned };
  return {
    store: orders,
    useCases: makeManageOrders({
      ...{ ...ofRows, retentionMs, bulkRowsMax },
      onSubmitted: () => worker.wake(),
    }),
    importOrders: makeImportOrders({ ...ofRows, readers: ORDER_FILE_READERS }),
    findOrderWarnings: makeFindOrderWarnings({ orders, findTransferWarnings, bankRules }),
    feeds: watch,
    counts: orders,
    stop: async () => {
      watch.close();
      await worker.stop();
    },
  };
}

/** The files that clients export, and the links to them. */
interface Exports {
  readonly openExport: OpenExport;
  readonly exportLinks: ExportLinks;
  readonly createExport: CreateExport;
}

function composeExports(
  { exportLinkSecret }: Config,
  orders: OrderStore,
  { clock, newId }: { readonly clock: Clock; readonly newId: NewId },
): Exports {
  const exportLinks = new SignedExportLinks(exportLinkSecret, clock);
  return {
    openExport: makeOpenExport({ orders, writers: FILE_WRITERS, clock, newId }),
    exportLinks,
    createExport: makeCreateExport({ orders, links: exportLinks }),
  };
}

/** Reports commits to the indexer and to the fan-out. Bulks wait for the indexer alone. */
function followersOf(indexer: Indexer, fanOut: WebhookFanOut): CommitFollower {
  return {
    noteCommit: (accountIds, rowCount) => {
      indexer.noteCommit(accountIds, rowCount);
      fanOut.noteCommit(accountIds);
    },
    hasRoom: (callBack) => indexer.hasRoom(callBack),
  };
}

async function seedDemoCompanies(
  config: Config,
  database: Database,
  publisher: Publisher,
  logger: Logger,
): Promise<void> {
  if (!config.seedDemo) return;
  const opened = await seedDemo(
    composeApplication(demoConfig(config), database, publisher).openAccount,
  );
  if (opened > 0) logger.info({ accounts: opened }, 'Demo companies created');
}

/** Returns the configuration for demo data, which has a masked IBAN. */
export function demoConfig(config: Config): Config {
  return { ...config, ibanCheck: 'format' };
}

interface ResolverPorts {
  readonly outbox: OutboxAdmin;
  readonly apiKeys: ApiKeyStore;
  readonly deadLetters: DeadLetterStore;
  readonly manageDeadLetters: ManageDeadLetters;
  readonly createExport: CreateExport;
  readonly clock: Clock;
  readonly newId: NewId;
}

type OrderPorts = Pick<Orders, 'store' | 'useCases' | 'importOrders' | 'findOrderWarnings'>;

/** Returns the instance of a resolver by its class, for type-graphql. */
function resolverContainer(
  application: Application,
  { outbox, apiKeys, deadLetters, manageDeadLetters, createExport, clock, newId }: ResolverPorts,
  { store: webhooks, useCases: manageWebhooks }: Pick<Webhooks, 'store' | 'useCases'>,
  { store: orders, useCases: manageOrders, importOrders, findOrderWarnings }: OrderPorts,
): { get(type: ClassType): object } {
  const instances: readonly object[] = [
    new AccountResolver(application.openAccount, application.creditAccount),
    new StatementResolver(),
    new AccountExistsResolver(),
    new BulkTransferResolver(application.performBulkTransfer, application.validateBulkTransfer),
    new IdempotencyKeyReusedResolver(),
    new PerformedWarningsResolver(application.findTransferWarnings),
    new ValidationWarningsResolver(application.findTransferWarnings),
    new TransferWarningResolver(),
    new TransferResolver(),
    new IncomingTransferResolver(),
    new LedgerEntryResolver(),
    new NodeResolver(deadLetters, webhooks, orders),
    new OrderResolver(manageOrders, orders, findOrderWarnings),
    new OrderWarningResolver(orders),
    new ImportResolver(importOrders),
    new OrderStateConflictResolver(orders),
    new ExportResolver(createExport),
    new MeResolver(),
    new OrganizationResolver(),
    new SubscriptionResolver(),
    new OutboxResolver(outbox),
    new OutboxMessageResolver(),
    new DeadLetterResolver(manageDeadLetters, deadLetters),
    new ApiKeyResolver(
      makeManageApiKeys({ apiKeys, reader: application.reader, clock, newId }),
      apiKeys,
    ),
    new AuditResolver(),
    new WebhookResolver(manageWebhooks, webhooks),
    new WebhookDeliveryResolver(webhooks),
  ];
  const byClass = new Map(instances.map((instance) => [instance.constructor, instance]));
  return {
    get: (type) => {
      const instance = byClass.get(type);
      if (!instance) throw new Error(`No instance of ${type.name}`);
      return instance;
    },
  };
}
