import { describe, expect, test } from 'vitest';
import type { CreditTransferRequest } from './bulk-transfer.js';
import {
  type PaidName,
  paymentKeyOf,
  recordedPaymentOf,
  type TransferHistory,
  TransferWarningReader,
} from './transfer-warnings.js';

const IBAN = 'DE89370400440532013000';
const ROW: CreditTransferRequest = {
  amount: '14.50',
  counterpartyName: 'Bip Bip',
  counterpartyIban: IBAN,
  description: 'Wonderland/4410',
};
const SINCE = new Date('2026-11-16T09:30:00Z');

/** A payment to the payee of ROW, long ago. */
const PAID: PaidName = {
  counterpartyIban: IBAN,
  counterpartyName: ROW.counterpartyName,
  amount: ROW.amount,
  description: ROW.description,
  bulkTransferId: 'b1',
  paidAt: new Date('2026-11-01T09:30:00Z'),
};

const aRow = (overrides: Partial<CreditTransferRequest> = {}) => ({ ...ROW, ...overrides });

function warningsOf(
  creditTransfers: readonly CreditTransferRequest[],
  history: Partial<TransferHistory> = {},
) {
  const reader = new TransferWarningReader(
    { creditTransfers },
    { paidNames: [], since: SINCE, ...history },
  );
  reader.read(0, creditTransfers.length);
  return reader.warnings();
}

const codesOf = (...args: Parameters<typeof warningsOf>) =>
  warningsOf(...args).map(({ index, field, code }) => `${index ?? '-'} ${field} ${code}`);

describe('the warnings of a bulk', () => {
  test('name each repetition of a payment, but not the first one', () => {
    const rows = [
      aRow(),
      aRow({ amount: '14.5', counterpartyIban: 'de89 3704 0044 0532 0130 00' }),
      aRow({ counterpartyName: 'Bip-Bip', endToEndId: 'E1' }),
    ];

    expect(warningsOf(rows)).toEqual(
      [1, 2].map((index) => ({
        index,
        field: 'counterpartyIban',
        code: 'DUPLICATE_IN_BULK',
        message: 'Row 0 has the same payee, amount and description.',
      })),
    );
  });

  test.each([
    { amount: '14.51' },
    { counterpartyIban: 'NL91ABNA0417164300' },
    { description: 'Wonderland/4411' },
  ])('do not name rows that differ in %o', (other) => {
    expect(codesOf([aRow(), aRow(other)])).toEqual([]);
  });

  test('name an earlier bulk with the same rows, as a whole', () => {
    const sameBulk = { id: 'b1', createdAt: new Date('2026-11-23T09:30:00Z') };

    expect(warningsOf([aRow()], { sameBulk, paidNames: [] })).toEqual([
      {
        field: 'creditTransfers',
        code: 'DUPLICATE_OF_EARLIER',
        message:
          'A bulk with the same payees, amounts and descriptions was performed at 2026-11-23T09:30:00.000Z.',
        bulkTransferId: 'b1',
      },
    ]);
  });

  test('name an IBAN that was paid only under other names', () => {
    const paid = (counterpartyName: string, bulkTransferId: string) => ({
      ...PAID,
      counterpartyName,
      bulkTransferId,
    });

    expect(
      warningsOf([aRow()], { paidNames: [paid('Road Runner', 'b2'), paid('Coyote', 'b1')] }),
    ).toEqual([
      {
        index: 0,
        field: 'counterpartyName',
        code: 'NAME_DIFFERS',
        message: `${IBAN} was paid under the name "Road Runner" before.`,
        bulkTransferId: 'b2',
      },
    ]);
    expect(
      codesOf([aRow()], { paidNames: [paid('Road Runner', 'b2'), paid('BIP BIP ', 'b1')] }),
    ).toEqual([]);
  });

  test('name the last payment of the same amount to the same payee with the same text, if it is recent', () => {
    const recent = { ...PAID, bulkTransferId: 'b2', paidAt: new Date('2026-11-20T09:30:00Z') };

    expect(warningsOf([aRow({ amount: '14.5' })], { paidNames: [recent, PAID] })).toEqual([
      {
        index: 0,
        field: 'counterpartyIban',
        code: 'DUPLICATE_PAYMENT',
        message: 'The same payee, amount and description were paid at 2026-11-20T09:30:00.000Z.',
        bulkTransferId: 'b2',
      },
    ]);
    expect(codesOf([aRow()], { paidNames: [PAID] })).toEqual([]);
    expect(codesOf([aRow({ amount: '15.00' })], { paidNames: [recent] })).toEqual([]);
    expect(codesOf([aRow({ description: 'Other' })], { paidNames: [recent] })).toEqual([]);
    const sameBulk = { id: 'b2', createdAt: recent.paidAt };
    expect(codesOf([aRow()], { sameBulk, paidNames: [recent] })).toEqual([
      '- creditTransfers DUPLICATE_OF_EARLIER',
    ]);
  });

  test('do not name an IBAN that was paid under the same name, among many names', () => {
    const paidNames = Array.from({ length: 10_000 }, (_, index) => ({
      ...PAID,
      counterpartyName: `Payee ${index}`,
    }));
    const rows = Array.from({ length: 90_000 }, (_, index) =>
      aRow({ counterpartyName: 'payee 9999', description: `Row ${index}` }),
    );

    // A comparison of each row with each name would exceed the time limit of the test.
    expect(codesOf(rows, { paidNames })).toEqual([]);
  });

  test.each([
    ['DEUTDEFF', IBAN, false],
    ['ABNANL2A', IBAN, true],
    ['abna nl 2a', IBAN, true],
    ['not a BIC', IBAN, false],
    ['ABNAXXFF', IBAN, false],
    ['ABNANL2A', 'DE00', false],
    ['BNPAGPGX', 'FR1420041010050500013M02606', false],
    ['BNPAFRPP', 'MC5811222000010123456789030', false],
    ['LOYDGGS1', 'GB29NWBK60161331926819', false],
    ['NWBKGB2L', 'IE29AIBK93115212345678', true],
  ])('name a BIC of another country than the account: %s and %s', (bic, iban, isWarned) => {
    const rows = [aRow({ counterpartyBic: bic, counterpartyIban: iban })];

    expect(codesOf(rows)).toEqual(isWarned ? ['0 counterpartyBic BIC_COUNTRY_DIFFERS'] : []);
  });

  test('name an account number with wrong national check digits', () => {
    // The check digits are right by ISO 7064, but the last two digits should be 06.
    expect(codesOf([aRow({ counterpartyIban: 'FR8420041010050500013M02607' })])).toEqual([
      '0 counterpartyIban NATIONAL_CHECK_DIGITS',
    ]);
  });

  test('do not repeat problems', () => {
    expect(
      codesOf([aRow({ counterpartyIban: 'FR10474608000002006107XXXXX', amount: 'x' })]),
    ).toEqual([]);
  });

  test('are the first hundred', () => {
    const rows = Array.from({ length: 300 }, () => aRow());

    expect(codesOf(rows)).toEqual(
      Array.from({ length: 100 }, (_, place) => `${place + 1} counterpartyIban DUPLICATE_IN_BULK`),
    );
  });
});

test('a recorded transfer equals the payment of its row', () => {
  const recorded = {
    amountMinor: 1_450n,
    currency: 'EUR',
    counterpartyIban: IBAN,
    description: ROW.description,
  };

  expect(paymentKeyOf(recordedPaymentOf(recorded))).toBe(paymentKeyOf(aRow({ amount: '014.5' })));
});
