/** The last ledger entry of an account. */
export interface AccountHead {
  readonly iban: string;
  readonly sequence: bigint;
}
