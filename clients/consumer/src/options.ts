import type { Dedupe } from './dedupe.js';
import type { EventType } from './event.js';
import { CONSOLE_LOGGER, guarded, type Logger } from './logger.js';
import { DEAD_LETTERS } from './names.js';
import { type RetryOptions, RetryPolicy } from './retry-policy.js';

export interface ConsumeOptions<Transaction = undefined> {
  /** The URL of RabbitMQ, `amqp:` or `amqps:`. */
  readonly url: string;
  /** The name of the durable queue that all processes of the service share. It is also the name of the consumer. */
  readonly queue: string;
  /** The types of events. Default: all. */
  readonly events?: readonly EventType[];
  /** The IBANs of the accounts. Default: all. */
  readonly accounts?: readonly string[];
  /** The most events that this process holds, running or waiting. Default: 50, and 1,000 with an order. */
  readonly prefetch?: number;
  /** The most handlers that run at once in this process. Default: 10. */
  readonly concurrency?: number;
  /** `account`: the events of an account are processed one at a time and in order, by one process. */
  readonly order?: 'account';
  readonly retry?: RetryOptions;
  /** Records processed events, so that a repetition is dropped. */
  readonly dedupe?: Dedupe<Transaction>;
  readonly logger?: Logger;
  /** The longest time for which `stop` waits for running handlers, in milliseconds. Default: 30 seconds. */
  readonly stopTimeoutMs?: number;
}

/** Options that were checked, with all defaults. */
export interface Settings {
  readonly url: string;
  readonly queue: string;
  readonly events: readonly EventType[];
  readonly accounts: readonly string[];
  readonly prefetch: number;
  readonly concurrency: number;
  readonly isOrdered: boolean;
  readonly retry: RetryPolicy;
  readonly logger: Logger;
  readonly stopTimeoutMs: number;
}

const PREFETCH = 50;
/** With an order, the events of accounts that wait count as well. */
const ORDERED_PREFETCH = 1_000;
const PREFETCH_MAX = 65_535;
const CONCURRENCY = 10;
const STOP_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MAX_MS = 2 ** 31 - 1;

/** RabbitMQ allows 255 bytes; the names of the delay queues are longer by a suffix. */
const QUEUE_BYTES_MAX = 200;

/**
 * RabbitMQ takes events back that a consumer holds for 30 minutes. An event that waits in order for its last attempt
 * must be settled before.
 */
const ORDERED_RETRY_MAX_MS = 20 * 60 * 1_000;

/** @throws TypeError if the options cannot be used */
export function settingsOf<Transaction>(options: ConsumeOptions<Transaction>): Settings {
  const isOrdered = options.order === 'account';
  const settings = {
    url: options.url,
    queue: options.queue,
    events: options.events ?? [],
    accounts: options.accounts ?? [],
    prefetch: options.prefetch ?? (isOrdered ? ORDERED_PREFETCH : PREFETCH),
    concurrency: options.concurrency ?? CONCURRENCY,
    isOrdered,
    retry: new RetryPolicy(options.retry),
    logger: guarded(options.logger ?? CONSOLE_LOGGER),
    stopTimeoutMs: options.stopTimeoutMs ?? STOP_TIMEOUT_MS,
  };
  check(/^amqps?:$/.test(protocolOf(settings.url)), 'url is no URL of amqp: or amqps:');
  check(isQueueName(settings.queue), 'queue is no name of a queue');
  check(options.events?.length !== 0, 'events is empty');
  check(options.accounts?.length !== 0, 'accounts is empty');
  check(
    settings.accounts.every((iban) => /^[A-Z0-9]+$/.test(iban)),
    'accounts has an entry that is no IBAN',
  );
  check(isWhole(settings.prefetch, PREFETCH_MAX), `prefetch is not from 1 to ${PREFETCH_MAX}`);
  check(isWhole(settings.concurrency, Number.MAX_SAFE_INTEGER), 'concurrency is not above 0');
  check(
    isWhole(settings.stopTimeoutMs + 1, STOP_TIMEOUT_MAX_MS),
    'stopTimeoutMs is no time in milliseconds',
  );
  check(
    !isOrdered || settings.retry.totalMs <= ORDERED_RETRY_MAX_MS,
    'retry.delaysMs adds up to more than 20 minutes, which is too long with an order',
  );
  return settings;
}

function check(isFulfilled: boolean, fault: string): void {
  if (!isFulfilled) throw new TypeError(fault);
}

function isWhole(value: number, max: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= max;
}

function protocolOf(url: string): string {
  return URL.canParse(url) ? new URL(url).protocol : '';
}

function isQueueName(queue: string): boolean {
  const isReserved = queue.startsWith('amq.') || queue === DEAD_LETTERS;
  return queue !== '' && !isReserved && Buffer.byteLength(queue) <= QUEUE_BYTES_MAX;
}
