/**
 * Reads a dead letter from a message at the broker. A consumer of ours names itself and its reason in headers of ours.
 * RabbitMQ names the queue and its reason in `x-death`. Anyone may publish to an exchange, so everything here may be
 * missing, of another type or of any length: each message becomes a dead letter that the table can store.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../application/ports/clock.js';
import {
  isReasonCode,
  OTHER_REASONS,
  PAYLOAD_BYTES_MAX,
  PAYLOAD_CUT,
  UNNAMED,
} from '../../domain/dead-letter.js';
import {
  DEAD_LETTER_ERROR_CHARACTERS_MAX,
  type DeadLetterFacts,
  NAME_BYTES_MAX,
} from '../../entities/dead-letter.entity.js';
import type { DeadLetterReceiver, DeadMessage } from '../broker/dead-letter-drain.js';
import type { Logger } from '../observability/logger.js';
import type { MikroOrmDeadLetters } from './dead-letters.js';

/** The largest number of attempts that a column holds. */
const ATTEMPTS_MAX = 2 ** 31 - 1;

/** The range of times that the databases hold. */
const EARLIEST_MS = 0;
const LATEST_MS = Date.UTC(9999, 11, 31);

const HEADERS = {
  consumer: 'x-virement-consumer',
  reason: 'x-virement-reason',
  attempts: 'x-virement-attempts',
  error: 'x-virement-error',
  firstFailedAt: 'x-virement-first-failed-at',
  lastFailedAt: 'x-virement-last-failed-at',
} as const;

type Failure = Pick<
  DeadLetterFacts,
  'consumer' | 'reason' | 'attempts' | 'lastError' | 'firstFailedAt' | 'lastFailedAt'
>;

export interface ReceiverPorts {
  readonly deadLetters: Pick<MikroOrmDeadLetters, 'add'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Makes the receiver that stores dead letters, and logs each without its payload. */
export function makeDeadLetterReceiver({
  deadLetters,
  clock,
  logger,
}: ReceiverPorts): DeadLetterReceiver {
  return async (message) => {
    const letter = readDeadLetter(message, clock());
    await deadLetters.add(letter);
    const { consumer, reason, type, messageId } = letter;
    logger.warn({ consumer, reason, type, messageId }, 'Dead letter received');
  };
}

/** Returns the dead letter that a message is. It never throws. */
export function readDeadLetter(message: DeadMessage, receivedAt: Date): DeadLetterFacts {
  const { content } = message;
  const failure = failureOf(message, receivedAt);
  const isCut = content.length > PAYLOAD_BYTES_MAX;
  return {
    ...failure,
    reason: `${failure.reason}${isCut ? PAYLOAD_CUT : ''}`,
    messageId: nameOf(message.messageId) ?? contentIdOf(content),
    type: nameOf(message.type) ?? UNNAMED,
    receivedAt,
    payload: content.subarray(0, PAYLOAD_BYTES_MAX),
  };
}

function failureOf({ headers }: DeadMessage, receivedAt: Date): Failure {
  const consumer = nameOf(headers[HEADERS.consumer]);
  if (consumer !== undefined) return failureAtConsumer(consumer, headers, receivedAt);
  const death = latestDeathOf(headers['x-death']);
  const queue = nameOf(death?.queue);
  if (death && queue !== undefined) return failureAtBroker(queue, death, receivedAt);
  return {
    consumer: UNNAMED,
    reason: OTHER_REASONS.malformed,
    attempts: 0,
    lastError: null,
    firstFailedAt: receivedAt,
    lastFailedAt: receivedAt,
  };
}

function failureAtConsumer(
  consumer: string,
  headers: DeadMessage['headers'],
  receivedAt: Date,
): Failure {
  const error = headers[HEADERS.error];
  const lastFailedAt = timeOf(headers[HEADERS.lastFailedAt]) ?? receivedAt;
  const firstFailedAt = timeOf(headers[HEADERS.firstFailedAt]) ?? lastFailedAt;
  return {
    consumer,
    reason: reasonOf(headers[HEADERS.reason]),
    attempts: countOf(headers[HEADERS.attempts]),
    lastError:
      typeof error === 'string' ? cutToCharacters(error, DEAD_LETTER_ERROR_CHARACTERS_MAX) : null,
    firstFailedAt: new Date(Math.min(firstFailedAt.getTime(), lastFailedAt.getTime())),
    lastFailedAt,
  };
}

function failureAtBroker(
  consumer: string,
  { reason, count, time }: Record<string, unknown>,
  receivedAt: Date,
): Failure {
  const failedAt = timeOf(time) ?? receivedAt;
  return {
    consumer,
    reason: reasonOf(typeof reason === 'string' ? reason.toUpperCase() : undefined),
    attempts: countOf(count),
    lastError: null,
    firstFailedAt: failedAt,
    lastFailedAt: failedAt,
  };
}

/** Returns the latest death of a message, which RabbitMQ puts first. */
function latestDeathOf(deaths: unknown): Record<string, unknown> | undefined {
  const death: unknown = Array.isArray(deaths) ? deaths[0] : undefined;
  return isRecord(death) ? death : undefined;
}

function reasonOf(value: unknown): string {
  return typeof value === 'string' && isReasonCode(value) ? value : OTHER_REASONS.unknown;
}

function countOf(value: unknown): number {
  const count = numberOf(value);
  return Number.isInteger(count) && count >= 0 && count <= ATTEMPTS_MAX ? count : 0;
}

/** Returns a number; NaN for a table or a list, which a header may also be, and which Number() may refuse. */
function numberOf(value: unknown): number {
  return typeof value === 'object' ? Number.NaN : Number(value);
}

/** Returns the time of a text in the form of ISO 8601, or of an AMQP timestamp in seconds, as amqplib decodes it. */
function timeOf(value: unknown): Date | undefined {
  const isTimestamp = isRecord(value) && value['!'] === 'timestamp';
  const ms = isTimestamp
    ? numberOf(value.value) * 1_000
    : Date.parse(typeof value === 'string' ? value : '');
  return ms >= EARLIEST_MS && ms <= LATEST_MS ? new Date(ms) : undefined;
}

/** Returns a short string of AMQP; undefined for an empty text or another type. */
function nameOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? cutToBytes(value, NAME_BYTES_MAX) : undefined;
}

/** Returns an id for a message without one. The same content has the same id, so it is one dead letter. */
function contentIdOf(content: Uint8Array): string {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function cutToCharacters(text: string, charactersMax: number): string {
  return [...text.toWellFormed()].slice(0, charactersMax).join('');
}

function cutToBytes(text: string, bytesMax: number): string {
  const wellFormed = text.toWellFormed();
  let end = Math.min(wellFormed.length, bytesMax);
  while (Buffer.byteLength(wellFormed.slice(0, end)) > bytesMax) end -= 1;
  return wellFormed.slice(0, end).toWellFormed();
}
