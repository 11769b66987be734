import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const RANDOM_BYTES = 16;

/** Random bytes for 512 ids. A system call for each id would take longer than the rest of the work. */
const random = new Uint8Array(512 * RANDOM_BYTES);
let usedBytes = random.length;

/** Makes a new id: a UUIDv7 (RFC 9562), greater than all earlier ids of the same maker. */
export type NewId = () => string;

/**
 * Makes the id maker of a process. Rows are inserted in key order.
 * @param clock dates the ids. It should not jump, because lists in the order of ids would keep the jump forever
 */
export function makeNewId(clock: () => Date): NewId {
  let lastMs = 0;
  let sequence = 0;
  return () => {
    const bytes = randomBytesOfId();
    const nowMs = clock().getTime();
    if (nowMs > lastMs) {
      lastMs = nowMs;
      // 31 random bits leave room to count upwards.
      sequence = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) >>> 1;
    } else {
      sequence = (sequence + 1) >>> 0;
      if (sequence === 0) lastMs += 1;
    }
    return v7({ random: bytes, msecs: lastMs, seq: sequence });
  };
}

function randomBytesOfId(): Uint8Array<ArrayBuffer> {
  if (usedBytes === random.length) {
    randomFillSync(random);
    usedBytes = 0;
  }
  usedBytes += RANDOM_BYTES;
  return random.subarray(usedBytes - RANDOM_BYTES, usedBytes);
}

/** Tells whether a text is a UUID in its canonical form. */
export function isId(text: string): boolean {
  return /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/.test(text);
}

/**
 * Returns the canonical form of a UUID. Clients may write a UUID in capitals (RFC 9562, section 4).
 * @returns undefined for any other text
 */
export function canonicalId(text: string): string | undefined {
  const id = text.toLowerCase();
  return isId(id) ? id : undefined;
}

/**
 * Returns the short id of an account: the last 32 bits of its id, which are random. No two accounts share a short id,
 * so the ids and search rows of an account's transfers contain it instead of the whole id.
 */
export function shortIdOf(accountId: string): number {
  return Number.parseInt(accountId.slice(-8), 16);
}
