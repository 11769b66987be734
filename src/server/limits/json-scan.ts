/**
 * Limits the cost of parsing a JSON text, while the text still arrives. JSON.parse takes seconds for ten megabytes of
 * brackets or of tiny objects, and its result takes many times their bytes. A text that is not JSON passes the scan,
 * because the parser gives a better error message.
 */

export interface JsonLimits {
  /** Limits the nesting of arrays and objects. */
  readonly depthMax: number;
  /** Limits values of arrays and members of objects, approximately: commas, brackets and braces outside strings. */
  readonly valuesMax: number;
}

/** The limit that a text exceeds. */
export type JsonFault = 'JSON_TOO_DEEP' | 'JSON_TOO_MANY_VALUES';

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

/** The ASCII bit that distinguishes braces from brackets: `[` from `{`, and `]` from `}`. */
const BRACE_BIT = 0x20;
const OPENING = 0x7b;
const CLOSING = 0x7d;

/** Scans one text, chunk by chunk. */
export class JsonScan {
  #depth = 0;
  #deepest = 0;
  #values = 0;
  #isInString = false;
  /** Tells whether the last chunk ended with the backslash of an escape. */
  #isEscaped = false;

  constructor(private readonly limits: JsonLimits) {}

  /** The number of values so far. */
  get values(): number {
    return this.#values;
  }

  /** Returns the limit that the text exceeds so far; undefined if it is within the limits. */
  feed(chunk: Uint8Array): JsonFault | undefined {
    const start = this.#isEscaped && chunk.length > 0 ? 1 : 0;
    if (start === 1) this.#isEscaped = false;
    for (let at = start; at < chunk.length; at += 1) {
      at = this.#isInString ? this.#skipString(chunk, at) : this.#skipStructure(chunk, at);
    }
    if (this.#values > this.limits.valuesMax) return 'JSON_TOO_MANY_VALUES';
    return this.#deepest > this.limits.depthMax ? 'JSON_TOO_DEEP' : undefined;
  }

  /** Returns the end of the string: its closing quote, or the end of the chunk. */
  #skipString(chunk: Uint8Array, from: number): number {
    for (let at = from; at < chunk.length; at += 1) {
      const byte = chunk[at];
      if (byte === QUOTE) {
        this.#isInString = false;
        return at;
      }
      if (byte === BACKSLASH) {
        at += 1;
        this.#isEscaped = at === chunk.length;
      }
    }
    return chunk.length;
  }

  /** Returns the start of the next string: its opening quote, or the end of the chunk. */
  #skipStructure(chunk: Uint8Array, from: number): number {
    let values = this.#values;
    let depth = this.#depth;
    let at = from;
    for (; at < chunk.length; at += 1) {
      const byte = chunk[at] ?? 0;
      if (byte === QUOTE) {
        this.#isInString = true;
        break;
      }
      if (byte === COMMA) values += 1;
      else if ((byte | BRACE_BIT) === OPENING) {
        values += 1;
        depth += 1;
        if (depth > this.#deepest) this.#deepest = depth;
      } else if ((byte | BRACE_BIT) === CLOSING) depth -= 1;
    }
    this.#values = values;
    this.#depth = depth;
    return at;
  }
}
