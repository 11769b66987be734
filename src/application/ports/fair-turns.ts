/** Shares the event loop between callers with long work. The work is cut into slices of a few milliseconds. */
export interface FairTurns {
  /** Resolves when the next slice of a key's work may run. Slices of different keys take turns. */
  take(key: string): Promise<void>;
}
