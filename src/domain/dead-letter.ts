/** The end of the reason of a dead letter whose payload is only the beginning of its body. */
export const PAYLOAD_CUT = ', PAYLOAD_CUT';

/** Reasons other than those of a consumer (PERMANENT, ATTEMPTS_EXHAUSTED) and of RabbitMQ (DELIVERY_LIMIT …). */
export const OTHER_REASONS = {
  /** The message names no consumer, so no consumer of ours sent it. */
  malformed: 'MALFORMED',
  /** The message gives no reason, or one that is no code. */
  unknown: 'UNKNOWN',
} as const;

/** The consumer or the type of a message that names none. */
export const UNNAMED = 'unknown';

/** The largest payload that is kept. The largest event of this server has some 2 KiB. */
export const PAYLOAD_BYTES_MAX = 256 * 1_024;

/** Tells whether a text is a code such as ATTEMPTS_EXHAUSTED. */
export function isReasonCode(text: string): boolean {
  return /^[A-Z][A-Z_]{0,39}$/.test(text);
}

/** Tells whether a dead letter has only the beginning of its message, which cannot be sent again. */
export function isPayloadCut({ reason }: { readonly reason: string }): boolean {
  return reason.endsWith(PAYLOAD_CUT);
}

/** Tells whether a reason could have been stored: a code, and perhaps the mark of a cut payload. */
export function isStoredReason(reason: string): boolean {
  return isReasonCode(isPayloadCut({ reason }) ? reason.slice(0, -PAYLOAD_CUT.length) : reason);
}

/** The largest number of dead letters of one call. */
export const DEAD_LETTERS_AT_ONCE_MAX = 100;
