import { randomFillSync } from 'node:crypto';
import { v7 } from 'uuid';

const RANDOM_BYTES = 16;

/** Random bytes for 512 ids at a time: a call of the operating system for each takes longer than all the rest of it. */
const random = new Uint8Array(512 * RANDOM_BYTES);
let usedBytes = random.length;

let lastMs = 0;
let sequence = 0;

let now = () => new Date();

/** Has ids begin with the time of a clock that does not jump: lists in the order of ids would keep the jump for good. */
export function dateIdsBy(clock: () => Date): void {
  now = clock;
}

/** A UUIDv7 (RFC 9562), greater than all that this process made before it: rows are inserted in key order. */
export function newId(): string {
  if (usedBytes === random.length) {
    randomFillSync(random);
    usedBytes = 0;
  }
  const bytes = random.subarray(usedBytes, usedBytes + RANDOM_BYTES);
  usedBytes += RANDOM_BYTES;
  const nowMs = now().getTime();
  if (nowMs > lastMs) {
    lastMs = nowMs;
    // 31 random bits, so that there is room to count upwards.
    sequence = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) >>> 1;
  } else {
    sequence = (sequence + 1) >>> 0;
    if (sequence === 0) lastMs += 1;
  }
  return v7({ random: bytes, msecs: lastMs, seq: sequence });
}
