import type { ErrorResponse } from '../error-response.js';
import { Capacity } from './capacity.js';

/** Limits the bodies in progress at once, for all callers and for one caller. */
const BODIES_MAX = 2_000;
const BODIES_PER_CALLER_MAX = 500;

/** The fraction of all bytes that one caller's bodies may take. */
const CALLER_SHARE = 0.5;

/** The delay after which a body is likely to be accepted again, in seconds. */
const RETRY_S = 1;

/** The reservation of a body in progress. */
export interface BodyReservation {
  /**
   * Counts bytes that arrived.
   * @returns the error response if there are too many bytes
   */
  readonly add: (bytes: number) => ErrorResponse | undefined;
  readonly release: () => void;
}

/** Limits the number and the bytes of bodies that are being received and parsed, so that their memory is bounded. */
export class BodyBudget {
  readonly #places = new Capacity(BODIES_PER_CALLER_MAX, BODIES_MAX);
  readonly #bytesByCaller = new Map<string, number>();
  readonly #bytesPerCallerMax: number;
  #bytes = 0;

  constructor(private readonly bytesMax: number) {
    this.#bytesPerCallerMax = bytesMax * CALLER_SHARE;
  }

  open(caller: string): BodyReservation | ErrorResponse {
    const release = this.#places.take(caller);
    if (!release) return TOO_MANY_BODIES;
    let own = 0;
    return {
      add: (bytes) => {
        const ofCaller = (this.#bytesByCaller.get(caller) ?? 0) + bytes;
        if (ofCaller > this.#bytesPerCallerMax) return TOO_MANY_BODIES;
        if (this.#bytes + bytes > this.bytesMax) return OVERLOADED;
        this.#bytesByCaller.set(caller, ofCaller);
        this.#bytes += bytes;
        own += bytes;
        return undefined;
      },
      release: () => {
        release();
        const others = (this.#bytesByCaller.get(caller) ?? 0) - own;
        this.#bytes -= own;
        own = 0;
        if (others > 0) this.#bytesByCaller.set(caller, others);
        else this.#bytesByCaller.delete(caller);
      },
    };
  }
}

const TOO_MANY_BODIES: ErrorResponse = {
  code: 'TOO_MANY_BODIES',
  message:
    'The request bodies of this caller are too large together: try again when fewer are in transfer.',
  retryAfterSeconds: RETRY_S,
};

/** The response to any caller while the server has no capacity left. */
export const OVERLOADED: ErrorResponse = {
  code: 'OVERLOADED',
  message: 'The server is overloaded: try again later.',
  retryAfterSeconds: RETRY_S,
};
