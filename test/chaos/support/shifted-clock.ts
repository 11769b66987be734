/**
 * Shifts the wall clock of a server that loads this module first: a file has the difference to the machine's clock. An
 * operator or a time server could move the clock in the same way. Timers are not affected.
 */
import { readFileSync } from 'node:fs';

/** Interval between two reads of the file. */
const POLL_MS = 10;

const RealDate = globalThis.Date;
const file = process.env.SHIFTED_CLOCK_FILE ?? '';
let shiftMs = 0;

function readShift(): void {
  shiftMs = Number(readFileSync(file, 'utf8')) || 0;
}

const now = () => RealDate.now() + shiftMs;

const ShiftedDate: DateConstructor = new Proxy(RealDate, {
  construct: (target, args, newTarget): Date =>
    Reflect.construct(
      target,
      args.length === 0 ? [now()] : args,
      newTarget === ShiftedDate ? target : newTarget,
    ),
  apply: (target) => new target(now()).toString(),
  get: (target, key) => (key === 'now' ? now : Reflect.get(target, key)),
});
RealDate.prototype.constructor = ShiftedDate;
globalThis.Date = ShiftedDate;

if (file) {
  readShift();
  setInterval(readShift, POLL_MS).unref();
}
