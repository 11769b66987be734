/** The messages that a consumer publishes about a failed event: its next attempt, or its dead letter. */
import type { Message, Options } from 'amqplib';
import { reasonOf } from './logger.js';
import { DEAD_LETTERS, retryQueueOf } from './names.js';
import type { DeadLetterReason } from './retry-policy.js';

export interface Outgoing {
  readonly exchange: string;
  readonly routingKey: string;
  readonly content: Buffer;
  readonly options: Options.Publish;
}

/** The failures of an event so far. */
export interface Failures {
  /** The attempts that were made. */
  readonly attempts: number;
  readonly firstFailedAt: string;
  readonly lastFailedAt: string;
}

const ERROR_CHARACTERS_MAX = 1_000;

const ATTEMPT = 'x-virement-attempt';
const FIRST_FAILED_AT = 'x-virement-first-failed-at';

/**
 * Matches headers that must not be published again: those of this package, those of RabbitMQ about the delivery, and
 * CC and BCC, which would route the message to further queues.
 */
const NOT_FORWARDED =
  /^(x-virement-.*|x-death|x-(first|last)-death-.*|x-(delivery|acquired)-count|b?cc)$/i;

/** Reads which attempt a message is for, from 1, and when the event first failed. */
export function attemptOf({ properties }: Message): {
  readonly attempt: number;
  readonly firstFailedAt: string | undefined;
} {
  const { [ATTEMPT]: attempt, [FIRST_FAILED_AT]: firstFailedAt } = properties.headers ?? {};
  return {
    attempt: Number.isSafeInteger(attempt) && attempt > 0 ? attempt : 1,
    firstFailedAt: typeof firstFailedAt === 'string' ? firstFailedAt : undefined,
  };
}

/** Reads how often the broker took a message back. Classic queues do not count it. */
export function returnsOf({ properties }: Message): number {
  const { 'x-delivery-count': returns } = properties.headers ?? {};
  return Number.isSafeInteger(returns) ? returns : 0;
}

/** Makes the message for the next attempt, which waits in a delay queue. */
export function retryOf(
  message: Message,
  queue: string,
  delayMs: number,
  { attempts, firstFailedAt }: Failures,
): Outgoing {
  const headers = { [ATTEMPT]: attempts + 1, [FIRST_FAILED_AT]: firstFailedAt };
  return {
    exchange: '',
    routingKey: retryQueueOf(queue, delayMs),
    content: message.content,
    options: forwarded(message, headers),
  };
}

/** Makes the dead letter of an event. Its format is the one that Virement's servers read. */
export function deadLetterOf(
  message: Message,
  queue: string,
  reason: DeadLetterReason,
  { attempts, firstFailedAt, lastFailedAt, error }: Failures & { readonly error: unknown },
): Outgoing {
  const headers = {
    'x-virement-consumer': queue,
    'x-virement-reason': reason,
    'x-virement-attempts': attempts,
    'x-virement-error': shortened(reasonOf(error)),
    [FIRST_FAILED_AT]: firstFailedAt,
    'x-virement-last-failed-at': lastFailedAt,
  };
  return {
    exchange: DEAD_LETTERS,
    routingKey: message.fields.routingKey,
    content: message.content,
    options: forwarded(message, headers),
  };
}

/**
 * Returns the properties of a message with other headers. The expiration is left out, as it would end the wait in a
 * delay queue; the user as well, as RabbitMQ refuses another one than that of the connection.
 */
function forwarded({ properties }: Message, headers: object): Options.Publish {
  const { contentType, contentEncoding, messageId, type, timestamp, appId, correlationId } =
    properties;
  const kept = Object.entries(properties.headers ?? {}).filter(
    ([name]) => !NOT_FORWARDED.test(name),
  );
  return {
    contentType,
    contentEncoding,
    messageId,
    type,
    timestamp,
    appId,
    correlationId,
    headers: { ...Object.fromEntries(kept), ...headers },
    persistent: true,
    mandatory: true,
  };
}

/** Shortens a text by whole characters, so that no half of a surrogate pair is left. */
function shortened(text: string): string {
  return Array.from(text.slice(0, 2 * ERROR_CHARACTERS_MAX))
    .slice(0, ERROR_CHARACTERS_MAX)
    .join('');
}
