/**
 * Bounds what a JSON text costs to parse, before it is parsed and while it still arrives. JSON.parse takes
 * seconds for ten megabytes of brackets or of tiny objects, and what it makes of them takes many times
 * their bytes. A text that is not JSON passes: the parser says better what is wrong with it.
 */

export interface JsonLimits {
  /** Arrays and objects within each other. */
  readonly depthMax: number;
  /** Values of arrays and members of objects, about: commas, brackets and braces outside of strings. */
  readonly valuesMax: number;
}

/** The limit that a text is over. */
export type JsonFault = 'JSON_TOO_DEEP' | 'JSON_TOO_MANY_VALUES';

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;

/** In ASCII this bit makes a brace of a bracket: `[` and `{`, `]` and `}` are told apart by it alone. */
const BRACE_BIT = 0x20;
const OPENING = 0x7b;
const CLOSING = 0x7d;

/** Reads one text, chunk by chunk. */
export class JsonScan {
  #depth = 0;
  #deepest = 0;
  #values = 0;
  #isInString = false;
  /** Tells whether the last chunk ended with the backslash of an escape. */
  #isEscaped = false;

  constructor(private readonly limits: JsonLimits) {}

  /** Values so far. */
  get values(): number {
    return this.#values;
  }

  /** @returns the limit that the text is over by now; undefined where it is within */
  feed(chunk: Uint8Array): JsonFault | undefined {
    const start = this.#isEscaped && chunk.length > 0 ? 1 : 0;
    if (start === 1) this.#isEscaped = false;
    for (let at = start; at < chunk.length; at += 1) {
      at = this.#isInString ? this.#skipString(chunk, at) : this.#skipStructure(chunk, at);
    }
    if (this.#values > this.limits.valuesMax) return 'JSON_TOO_MANY_VALUES';
    return this.#deepest > this.limits.depthMax ? 'JSON_TOO_DEEP' : undefined;
  }

  /** @returns where the string ends: its closing quote, or the end of the chunk */
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

  /** @returns where the next string begins: its opening quote, or the end of the chunk */
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
