/** Tells which relays of one database still run. */
export interface Presence {
  /**
   * Makes an id known as that of a relay that runs, for as long as this process does. Never rejects: while the
   * database is away, nobody can tell.
   */
  announce(id: string): Promise<void>;
  /** @returns the ids of relays whose process has ended; none while that can't be told */
  endedAmong(ids: readonly string[]): Promise<readonly string[]>;
  close(): Promise<void>;
}

/** The presence of the one process that has a database of its own: no other runs. */
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
