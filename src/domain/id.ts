import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const RANDOM_BYTES = 16;

/** Random bytes for 512 ids at a time: a call of the operating system for each takes longer than all the rest of it. */
const random = new Uint8Array(512 * RANDOM_BYTES);
let usedBytes = random.length;

/** Makes a new id: a UUIDv7 (RFC 9562), greater than all that the same maker made before it. */
export type NewId = () => string;

/**
 * Makes the maker of a process's ids: rows are inserted in key order.
 * @param clock dates the ids; it should not jump, for lists in the order of ids would keep the jump for good
 */
export function makeNewId(clock: () => Date): NewId {
  let lastMs = 0;
  let sequence = 0;
  return () => {
    const bytes = randomBytesOfId();
    const nowMs = clock().getTime();
    if (nowMs > lastMs) {
      lastMs = nowMs;
      // 31 random bits, so that there is room to count upwards.
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
