import { PROGRAM } from '../domain/caller.js';
import { DomainError } from '../domain/errors.js';
import type { OpenAccount } from './open-account.js';

/** The demo companies. The IBAN of ACME is masked, so its check digits are wrong. */
export const DEMO_ACCOUNTS = [
  {
    organizationName: 'ACME Corp',
    iban: 'FR10474608000002006107XXXXX',
    bic: 'OIVUSCLQXXX',
    openingBalance: '100000.00',
  },
  {
    organizationName: 'Globex GmbH',
    iban: 'DE75512108001245126199',
    bic: 'SOGEDEFFXXX',
    openingBalance: '250000.00',
  },
  {
    organizationName: 'Initech B.V.',
    iban: 'NL02ABNA0123456789',
    bic: 'ABNANL2AXXX',
    openingBalance: '50000.00',
  },
] as const;

/**
 * Opens the accounts of the demo companies. An account that exists stays unchanged.
 * @returns the number of accounts that were opened
 */
export async function seedDemo(openAccount: OpenAccount): Promise<number> {
  let opened = 0;
  for (const account of DEMO_ACCOUNTS) {
    try {
      await openAccount(account, PROGRAM);
      opened += 1;
    } catch (error) {
      if (!(error instanceof DomainError && error.rejection.code === 'ACCOUNT_EXISTS')) throw error;
    }
  }
  return opened;
}
