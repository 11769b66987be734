import type { ErrorResponse } from '../error-response.js';
import { OVERLOADED } from './body-budget.js';
import { Capacity, type Release } from './capacity.js';

/** Limits the files in transfer: those of one caller, and those of all. */
export class FilePlaces {
  readonly #ofCallers: Capacity;
  readonly #ofAll: Capacity;

  /** @param tooMany the response to a caller who has all places that it may have */
  constructor(
    perCallerMax: number,
    totalMax: number,
    private readonly tooMany: ErrorResponse,
  ) {
    this.#ofCallers = new Capacity(perCallerMax);
    this.#ofAll = new Capacity(Number.POSITIVE_INFINITY, totalMax);
  }

  take(caller: string): Release | ErrorResponse {
    const ofCaller = this.#ofCallers.take(caller);
    if (!ofCaller) return this.tooMany;
    const ofAll = this.#ofAll.take(caller);
    if (!ofAll) {
      ofCaller();
      return OVERLOADED;
    }
    return () => {
      ofAll();
      ofCaller();
    };
  }
}
