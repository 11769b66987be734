/** The number of bytes of a response that are kept for the owner of the webhook. */
export const RESPONSE_TEXT_BYTES_MAX = 1_024;

/** The number of bytes of a response that are read, so that its connection can be used again. */
export const RESPONSE_BYTES_READ_MAX = 65_536;

/** Matches control characters except line breaks and tabs, and characters that change the direction of writing. */
const UNPRINTABLE = /(?![\n\t])[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu;

/**
 * Collects the beginning of a response as text.
 *
 * A response of up to RESPONSE_BYTES_READ_MAX is read to its end. The rest of a longer one is not: `add` returns false,
 * and the caller closes the connection.
 */
export class ResponseText {
  #kept: Buffer = Buffer.alloc(0);
  #bytesRead = 0;

  /** Adds the next part of the body. Returns whether the body may go on. */
  add(chunk: Buffer): boolean {
    const missing = RESPONSE_TEXT_BYTES_MAX - this.#kept.length;
    if (missing > 0) this.#kept = Buffer.concat([this.#kept, chunk.subarray(0, missing)]);
    this.#bytesRead += chunk.length;
    return this.#bytesRead <= RESPONSE_BYTES_READ_MAX;
  }

  /**
   * Returns the first RESPONSE_TEXT_BYTES_MAX bytes as well-formed text that ends with a whole character. Bytes that are
   * not UTF-8 and unprintable characters are replaced by U+FFFD, so the text can have three times as many bytes.
   */
  toString(): string {
    // A stream's decoder keeps an incomplete character at the end back.
    const isCut = this.#bytesRead > this.#kept.length;
    const text = new TextDecoder().decode(this.#kept, { stream: isCut });
    return text.replaceAll('\r\n', '\n').replace(UNPRINTABLE, '\ufffd');
  }
}
