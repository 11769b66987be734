/** The last ledger entry of an account. */
export interface AccountHead {
  readonly iban: string;
  readonly sequence: bigint;
  /** The trace of the request that made the entry, in W3C's format; undefined if it is not known. */
  readonly traceparent?: string | undefined;
}
