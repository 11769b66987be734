/** npm run dead-letters lists the messages on which consumers gave up, sends them again, or discards them. */
import { makeManageDeadLetters } from '../application/manage-dead-letters.js';
import { type Config, loadConfig } from '../config.js';
import { PROGRAM } from '../domain/caller.js';
import { BadUserInputError, UnavailableError } from '../domain/errors.js';
import { canonicalId, makeNewId } from '../domain/id.js';
import type { DeadLetter } from '../entities/dead-letter.entity.js';
import { InProcessBroker } from '../infrastructure/broker/in-process-broker.js';
import { RabbitMqBroker } from '../infrastructure/broker/rabbitmq-broker.js';
import type { Database } from '../infrastructure/database/dialect.js';
import { assertMigrated, explained } from '../infrastructure/database/migrations.js';
import { openDatabase } from '../infrastructure/database/open-database.js';
import { MikroOrmDeadLetters } from '../infrastructure/dead-letters/dead-letters.js';
import { MikroOrmAuditLog } from '../infrastructure/ledger/audit-log.js';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { makeLogger } from '../infrastructure/observability/logger.js';
import { runProgram } from '../program.js';
import { readActionArguments } from './arguments.js';

/** The number of dead letters that are listed. */
const LISTED_MAX = 100;

/** The time for the broker to be connected. */
const CONNECT_TIMEOUT_MS = 10_000;

const USAGE = {
  call: 'npm run dead-letters --',
  summary: `Shows the messages on which consumers of events gave up, and sends them again or discards them. DATABASE_URL
names the database, and AMQP_URL the broker. The server of an embedded database must be stopped to replay or discard.`,
  actions: {
    list: `lists the newest ${LISTED_MAX}; the default`,
    show: 'prints one with its error and its payload',
    replay: 'sends them to the queues of their consumers, and deletes them',
    discard: 'deletes them; the audit log keeps the reason',
  },
  defaultAction: 'list',
  options: {
    consumer: { type: 'string', value: 'QUEUE', help: 'lists those of one consumer alone' },
    id: {
      type: 'string',
      multiple: true,
      default: [] as string[],
      value: 'ID',
      help: 'the dead letter to show, replay or discard; 100 at most',
    },
    reason: { type: 'string', value: 'TEXT', help: 'why the messages are not needed' },
  },
} as const;

/** The columns of the list. */
const COLUMNS = ['id', 'consumer', 'type', 'reason', 'attempts', 'last failed at'] as const;

type Action = keyof typeof USAGE.actions;

interface Arguments {
  readonly consumer?: string | undefined;
  readonly id: readonly string[];
  readonly reason?: string | undefined;
}

interface Parts {
  readonly config: Config;
  readonly database: Database;
  readonly deadLetters: MikroOrmDeadLetters;
}

const WORK: Readonly<Record<Action, (parts: Parts, values: Arguments) => Promise<void>>> = {
  list: async ({ deadLetters }, { consumer }) => {
    const page = await deadLetters.list(consumer, { size: LISTED_MAX, fromEnd: false });
    if (page.nodes.length === 0) console.log('no dead letters');
    else printTable(page.nodes);
    if (page.hasNextPage) console.log(`… more than ${LISTED_MAX}`);
  },
  show: async ({ deadLetters }, { id: ids }) => {
    for (const text of requireIds(ids)) {
      const id = canonicalId(text);
      const letter = id === undefined ? null : await deadLetters.byId(id);
      if (!letter) throw new ExplainedError(`No dead letter has the id ${text}.`);
      printLetter(letter);
    }
  },
  replay: async (parts, { id: ids }) => {
    const broker = await startBroker(parts.config);
    try {
      const count = await manage(parts, broker).replay(requireIds(ids), PROGRAM);
      console.log(`${count} sent`);
    } finally {
      await broker.close();
    }
  },
  discard: async (parts, { id: ids, reason }) => {
    if (reason === undefined) throw new ExplainedError('--reason is missing.');
    const broker = new InProcessBroker();
    const count = await manage(parts, broker).discard(requireIds(ids), reason, PROGRAM);
    console.log(`${count} discarded`);
  },
};

await runProgram(async () => {
  const { action, values } = readActionArguments(USAGE);
  const config = loadConfig();
  const isReading = action === 'list' || action === 'show';
  const database = await openDatabase(config, isReading ? 'read-only' : 'read-write');
  try {
    await assertMigrated(database);
    const deadLetters = new MikroOrmDeadLetters(database.orm, clock, makeNewId(clock));
    await explained(database, () =>
      WORK[action]({ config, database, deadLetters }, values).catch(explainRefusal),
    );
  } finally {
    await database.close();
  }
});

function clock(): Date {
  return new Date();
}

function manage(
  { config, database, deadLetters }: Parts,
  queues: RabbitMqBroker | InProcessBroker,
) {
  const logger = makeLogger(config.logLevel);
  const audit = new MikroOrmAuditLog(database, clock, makeNewId(clock), logger);
  return makeManageDeadLetters({ deadLetters, queues, audit });
}

/** @throws ExplainedError if there is no broker, or if it is not connected in time */
async function startBroker({ amqpUrl }: Config): Promise<RabbitMqBroker> {
  if (amqpUrl === undefined) throw new ExplainedError('AMQP_URL is not set: there is no broker.');
  const broker = await RabbitMqBroker.start(amqpUrl, makeLogger('silent'));
  const timeout = Promise.withResolvers<'late'>();
  const timer = setTimeout(() => timeout.resolve('late'), CONNECT_TIMEOUT_MS);
  const ready = new Promise<void>((resolve) => broker.onReady(resolve));
  const outcome = await Promise.race([ready, timeout.promise]);
  clearTimeout(timer);
  if (outcome !== 'late') return broker;
  await broker.close();
  throw new ExplainedError(
    `RabbitMQ is not connected after ${CONNECT_TIMEOUT_MS / 1_000} seconds.`,
  );
}

/** Throws an error again, as an explained one if an operator can correct it. */
function explainRefusal(error: unknown): never {
  if (error instanceof BadUserInputError) throw new ExplainedError(error.message, { cause: error });
  if (error instanceof UnavailableError && error.reason === 'BROKER_AWAY') {
    const message = 'RabbitMQ does not confirm. Each dead letter that was not sent is kept.';
    throw new ExplainedError(message, { cause: error });
  }
  throw error;
}

function requireIds(ids: readonly string[]): readonly string[] {
  if (ids.length === 0) throw new ExplainedError('--id is missing.');
  return ids;
}

function printTable(letters: readonly DeadLetter[]): void {
  const rows = letters.map(({ id, consumer, type, reason, attempts, lastFailedAt }) => [
    id,
    consumer,
    type,
    reason,
    String(attempts),
    lastFailedAt.toISOString(),
  ]);
  const lines = [[...COLUMNS], ...rows].map((cells) => cells.map(printable));
  const widths = COLUMNS.map((_, column) =>
    Math.max(...lines.map((cells) => cells[column]?.length ?? 0)),
  );
  for (const cells of lines) {
    console.log(
      cells
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    );
  }
}

function printLetter(letter: DeadLetter): void {
  const facts = {
    id: letter.id,
    consumer: letter.consumer,
    message: letter.messageId,
    type: letter.type,
    reason: letter.reason,
    attempts: letter.attempts,
    'last error': letter.lastError ?? '',
    'first failed': letter.firstFailedAt.toISOString(),
    'last failed': letter.lastFailedAt.toISOString(),
    received: letter.receivedAt.toISOString(),
    payload: Buffer.from(letter.payload).toString(),
  };
  for (const [name, value] of Object.entries(facts)) {
    console.log(`${name.padEnd(12)}  ${printable(String(value))}`);
  }
}

/** Returns a text without control characters. A message may come from anywhere, and a terminal would obey them. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}]/gu, '\ufffd');
}
