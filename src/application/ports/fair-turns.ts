/** Shares the event loop between callers whose work takes long: it is cut into slices of a few milliseconds. */
export interface FairTurns {
  /** Resolves when the next slice of a key's work may run. Slices of different keys take turns. */
  take(key: string): Promise<void>;
}
