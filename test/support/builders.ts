import { composeIBAN } from 'ibantools';

/** The demo company: its IBAN is masked, so its check digits are wrong. */
export const ACME = 'FR10474608000002006107XXXXX';
export const ACME_BIC = 'OIVUSCLQXXX';
export const GLOBEX = 'DE75512108001245126199';
export const INITECH = 'NL02ABNA0123456789';

/** Returns an IBAN without an account here. Each number gives another IBAN. */
export function ibanOf(number: number): string {
  const bban = `TEST${String(number).padStart(10, '0')}`;
  return composeIBAN({ countryCode: 'NL', bban }) ?? '';
}

/** Returns a valid row. A test overrides the values that it is about. */
export function aTransfer(overrides: object = {}): Record<string, unknown> {
  return {
    amount: '1.00',
    counterpartyName: 'Bip Bip',
    counterpartyIban: 'DE89370400440532013000',
    description: 'Wonderland/4410',
    ...overrides,
  };
}

export function aBulk(creditTransfers: readonly object[], overrides: object = {}) {
  return { organizationIban: ACME, creditTransfers, ...overrides };
}

/** Returns the requested number of rows with the same amount. */
export function transfersOf(count: number, amount = '1.00'): Record<string, unknown>[] {
  return Array.from({ length: count }, (_, index) =>
    aTransfer({ amount, counterpartyIban: ibanOf(index), description: `Row ${index}` }),
  );
}

/** The first bulk of a company's payroll tool. The demo balance covers it. */
export const PAYROLL = {
  organizationName: 'ACME Corp',
  organizationBic: ACME_BIC,
  organizationIban: ACME,
  creditTransfers: [
    {
      amount: '14.5',
      currency: 'EUR',
      counterpartyName: 'Bip Bip',
      counterpartyBic: 'CRLYFRPPTOU',
      counterpartyIban: 'FR1420041010050500013M02606',
      description: 'Wonderland/4410',
    },
    {
      amount: '61238',
      currency: 'EUR',
      counterpartyName: 'Wile E Coyote',
      counterpartyBic: 'DEUTDEFF',
      counterpartyIban: 'DE89370400440532013000',
      description: '//Invoice/12',
    },
    {
      amount: '999',
      currency: 'EUR',
      counterpartyName: 'Bugs Bunny',
      counterpartyBic: 'ABNANL2A',
      counterpartyIban: 'NL91ABNA0417164300',
      description: '2026 11 23/GoldenCarrot/',
    },
  ],
} as const;

/** The second bulk, which exceeds the remaining balance. */
export const PAYROLL_TOO_LARGE = {
  ...PAYROLL,
  creditTransfers: ['23.17', '98234', '8024.99', '200'].map((amount) => aTransfer({ amount })),
};
