/** Tells which relays of one database still run. */
export interface Presence {
  /**
   * Announces the id of a running relay, for as long as this process runs. Never rejects; while the database is
   * unreachable, no process can tell which relays run.
   */
  announce(id: string): Promise<void>;
  /** Returns the ids of relays whose process has ended; an empty list while that is unknown. */
  endedAmong(ids: readonly string[]): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** The presence of the only process that uses its database. No other process has a relay. */
export class SolePresence implements Presence {
  readonly #ids = new Set<string>();

  async announce(id: string): Promise<void> {
    this.#ids.add(id);
  }

  async endedAmong(ids: readonly string[]): Promise<readonly string[]> {
    return ids.filter((id) => !this.#ids.has(id));
  }

  async close(): Promise<void> {}
}
