import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type AccountFacts,
  BulkTransferFingerprint,
  BulkTransferReader,
  type BulkTransferReading,
  type BulkTransferRequest,
  type BulkTransferRules,
  bulkTransferFingerprint,
  type CreditTransferRequest,
  canonicalAmount,
  ibansOf,
  normaliseBulk,
  readBulkTransfer,
  recordedBulkFingerprint,
} from './bulk-transfer.js';
import { normaliseIban } from './iban.js';
import { FILE_PROBLEM_CODES } from './order-file.js';
import { PROBLEM_CODES, type Problem, type ProblemCode } from './problem.js';

const ACME: AccountFacts = {
  id: '01900000-0000-7000-8000-00000000000a',
  organizationId: '01900000-0000-7000-8000-00000000001a',
  iban: 'FR7630006000011234567890189',
  bic: 'OIVUSCLQXXX',
  currency: 'EUR',
  organizationName: 'ACME Corp',
};
/** An account whose IBAN is masked: its shape and check digits are wrong, but the account exists here. */
const MASKED: AccountFacts = {
  id: '01900000-0000-7000-8000-00000000000b',
  organizationId: '01900000-0000-7000-8000-00000000001b',
  iban: 'FR10474608000002006107XXXXX',
  bic: 'OIVUSCLQXXX',
  currency: 'EUR',
  organizationName: 'Globex',
};
const DOLLARS: AccountFacts = {
  id: '01900000-0000-7000-8000-00000000000c',
  organizationId: '01900000-0000-7000-8000-00000000001c',
  iban: 'NL91ABNA0417164300',
  bic: 'ABNANL2A',
  currency: 'USD',
  organizationName: 'Initech',
};
const ACCOUNTS = new Map([ACME, MASKED, DOLLARS].map((account) => [account.iban, account]));
const RULES: BulkTransferRules = { ibanCheck: 'strict', transfersMax: 10_000 };

function aRow(overrides: Partial<CreditTransferRequest> = {}): CreditTransferRequest {
  return {
    amount: '14.5',
    counterpartyName: 'Bip Bip',
    counterpartyIban: 'DE89370400440532013000',
    description: 'Wonderland/4410',
    ...overrides,
  };
}

function aBulk(
  creditTransfers: readonly CreditTransferRequest[] = [aRow()],
  overrides: Partial<BulkTransferRequest> = {},
): BulkTransferRequest {
  return { organizationIban: ACME.iban, creditTransfers, ...overrides };
}

/** Returns valid rows, each with its own end-to-end id. */
function rowsOf(count: number): CreditTransferRequest[] {
  return Array.from({ length: count }, (_, index) => aRow({ endToEndId: `E2E-${index}` }));
}

const read = (request: BulkTransferRequest, rules = RULES) =>
  readAs(debtorOf(request), request, ACCOUNTS, rules);

const readAs = (
  debtor: AccountFacts | undefined,
  request: BulkTransferRequest,
  accounts: ReadonlyMap<string, AccountFacts> = new Map(),
  rules = RULES,
) => outcomeOf(readBulkTransfer(normaliseBulk(request), debtor, accounts, rules));

/** Returns a reading with the fields of both kinds of reading. */
function outcomeOf(reading: BulkTransferReading) {
  const { totalAmountMinor, rejection } = reading;
  const isInvalid = rejection?.code === 'INVALID_BULK_TRANSFER';
  return {
    transfers: rejection ? [] : reading.transfers,
    totalAmountMinor,
    problems: isInvalid ? rejection.problems : [],
    problemCount: isInvalid ? rejection.problemCount : 0,
  };
}

const debtorOf = ({ organizationIban }: BulkTransferRequest) =>
  ACCOUNTS.get(normaliseIban(organizationIban));

const placesOf = (problems: readonly Problem[]) =>
  problems.map(({ index, field, code }) => `${index ?? 'bulk'} ${field} ${code}`);

/** Returns the same request for an account that does not exist. */
const fromNowhere = (request: BulkTransferRequest): BulkTransferRequest => ({
  ...request,
  organizationIban: 'ES9121000418450200051332',
});

/** Any text, control characters and lone surrogates included. */
const anyText = fc
  .array(fc.oneof(fc.nat(0xff), fc.integer({ min: 0xd800, max: 0xdfff }), fc.nat(0xffff)), {
    maxLength: 160,
  })
  .map((units) => String.fromCharCode(...units));

/** Rows with one fault each. No value of one field makes another field wrong. */
const ROW_FAULTS: readonly (readonly [ProblemCode, keyof CreditTransferRequest, string])[] = [
  ['REQUIRED', 'amount', ''],
  ['INVALID_AMOUNT', 'amount', '1e3'],
  ['AMOUNT_NOT_POSITIVE', 'amount', '0.00'],
  ['AMOUNT_TOO_LARGE', 'amount', '99999999999999999'],
  ['TOO_MANY_FRACTION_DIGITS', 'amount', '0.001'],
  ['CURRENCY_MISMATCH', 'currency', 'USD'],
  ['CURRENCY_MISMATCH', 'currency', 'eur'],
  ['CURRENCY_MISMATCH', 'currency', ''],
  ['REQUIRED', 'counterpartyName', ' '],
  ['TOO_LONG', 'counterpartyName', 'x'.repeat(141)],
  ['INVALID_CHARACTERS', 'counterpartyName', 'Bip\tBip'],
  ['REQUIRED', 'counterpartyIban', ''],
  ['REQUIRED', 'counterpartyIban', '  '],
  ['INVALID_IBAN', 'counterpartyIban', 'DE8937040044053201300'],
  ['INVALID_IBAN_CHECKSUM', 'counterpartyIban', 'DE88370400440532013000'],
  ['SAME_ACCOUNT', 'counterpartyIban', 'fr76 3000 6000 0112 3456 7890 189'],
  ['CURRENCY_MISMATCH', 'counterpartyIban', DOLLARS.iban],
  ['INVALID_BIC', 'counterpartyBic', 'DEUTDEF'],
  ['INVALID_BIC', 'counterpartyBic', 'DEUTZZFF'],
  ['INVALID_BIC', 'counterpartyBic', ''],
  ['TOO_LONG', 'description', '😀'.repeat(141)],
  ['INVALID_CHARACTERS', 'description', 'half a pair: \ud83d'],
  ['TOO_SHORT', 'endToEndId', ''],
  ['TOO_LONG', 'endToEndId', 'x'.repeat(36)],
  ['INVALID_CHARACTERS', 'endToEndId', 'a\u0000'],
  ['DUPLICATE', 'endToEndId', 'E2E-0'],
];

/** Bulks with one fault each, outside their rows. */
/** The codes of problems that other inputs have: webhooks and exports. */
const OF_OTHER_INPUTS: readonly ProblemCode[] = [
  'INVALID_URL',
  'INVALID_TIME_ZONE',
  ...FILE_PROBLEM_CODES,
];

const BULK_FAULTS: readonly (readonly [ProblemCode, string, Partial<BulkTransferRequest>])[] = [
  ['TOO_SHORT', 'idempotencyKey', { idempotencyKey: '' }],
  ['TOO_LONG', 'idempotencyKey', { idempotencyKey: 'k'.repeat(256) }],
  ['INVALID_CHARACTERS', 'idempotencyKey', { idempotencyKey: 'clé' }],
  ['REQUIRED', 'organizationIban', { organizationIban: ' ' }],
  ['MISMATCH', 'organizationName', { organizationName: 'ACME Inc' }],
  ['MISMATCH', 'organizationName', { organizationName: '' }],
  ['INVALID_BIC', 'organizationBic', { organizationBic: 'OIVUSCL' }],
  ['MISMATCH', 'organizationBic', { organizationBic: 'DEUTDEFF' }],
  ['TOO_FEW', 'creditTransfers', { creditTransfers: [] }],
  ['TOO_MANY', 'creditTransfers', { creditTransfers: rowsOf(4) }],
];

describe('a valid bulk', () => {
  test('is read into the transfers to record and their sum', () => {
    const rows = [
      aRow(),
      aRow({
        amount: '999',
        currency: 'EUR',
        counterpartyIban: 'fr10 4746 0800 0002 0061 07xx xxx',
        counterpartyBic: 'oivu sclq xxx',
        description: '',
        endToEndId: 'E2E-1',
      }),
    ];

    expect(read(aBulk(rows))).toEqual({
      transfers: [
        {
          amountMinor: 1_450n,
          counterpartyName: 'Bip Bip',
          counterpartyIban: 'DE89370400440532013000',
          counterpartyBic: null,
          counterpartyAccountId: null,
          description: 'Wonderland/4410',
          endToEndId: null,
        },
        {
          amountMinor: 99_900n,
          counterpartyName: 'Bip Bip',
          counterpartyIban: 'FR10474608000002006107XXXXX',
          counterpartyBic: 'OIVUSCLQXXX',
          counterpartyAccountId: MASKED.id,
          description: '',
          endToEndId: 'E2E-1',
        },
      ],
      totalAmountMinor: 101_350n,
      problems: [],
      problemCount: 0,
    });
  });

  test('may name the organization in another case and the BIC without its XXX', () => {
    const names = { organizationName: ' acme CORP ', organizationBic: 'oivu sclq' };

    expect(placesOf(read(aBulk([aRow()], names)).problems)).toEqual([]);
  });

  test('may have null in optional fields', () => {
    const row = aRow({ currency: null, counterpartyBic: null, endToEndId: null });
    const names = { organizationName: null, organizationBic: null };

    expect(placesOf(read(aBulk([row], names)).problems)).toEqual([]);
  });

  test('may have as many transfers as the limit allows', () => {
    expect(read(aBulk(rowsOf(3)), { ...RULES, transfersMax: 3 }).problemCount).toBe(0);
  });

  test('has the exact total of ten thousand of the largest amounts', () => {
    const rows = Array.from({ length: 10_000 }, () => aRow({ amount: '999999999.99' }));

    expect(read(aBulk(rows)).totalAmountMinor).toBe(999_999_999_990_000n);
  });

  test('has no total, and a problem, if its sum exceeds every possible balance', () => {
    const debtor = { ...ACME, currency: 'VND' };
    const rows = ['9007199254740991', '1'].map((amount) => aRow({ amount, currency: 'VND' }));
    const total = (some: typeof rows) => readAs(debtor, aBulk(some));

    expect(total(rows.slice(0, 1))).toMatchObject({
      totalAmountMinor: 9_007_199_254_740_991n,
      problemCount: 0,
    });
    expect(total(rows)).toMatchObject({
      totalAmountMinor: undefined,
      problems: [{ field: 'creditTransfers', code: 'AMOUNT_TOO_LARGE' }],
    });
  });

  test('has the sum of its amounts as its total', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 999_999_999 }), { minLength: 1 }), (cents) => {
        const rows = cents.map((each) => aRow({ amount: (each / 100).toFixed(2) }));
        const total = cents.reduce((sum, each) => sum + each, 0);
        expect(read(aBulk(rows)).totalAmountMinor).toBe(BigInt(total));
      }),
    );
  });

  test.each([
    'Zoë Müller',
    'Zoe\u0308 Mu\u0308ller',
    'Ørsted A/S',
    'Αθηνά Παππά',
    'محمد علي',
    '株式会社',
    '🦊 Fox & 👩‍👧 Söhne',
    ' padded ',
    '😀'.repeat(140),
  ])('keeps a name unchanged: %s', (name) => {
    const { problems, transfers } = read(aBulk([aRow({ counterpartyName: name })]));

    expect({ problems, name: transfers[0]?.counterpartyName }).toEqual({ problems: [], name });
  });

  test('keeps a description and an end-to-end id unchanged', () => {
    const texts = { description: ' ¿Qué? // 😀 ', endToEndId: ' é/1 ' };

    expect(read(aBulk([aRow(texts)])).transfers[0]).toMatchObject(texts);
  });

  test('may pay an account of this ledger whose IBAN is masked', () => {
    const row = aRow({ counterpartyIban: MASKED.iban });

    expect(placesOf(read(aBulk([row])).problems)).toEqual([]);
  });

  test('may not pay a masked IBAN that no account of this ledger has', () => {
    const row = aRow({ counterpartyIban: MASKED.iban });

    expect(placesOf(readAs(ACME, aBulk([row]), new Map([[ACME.iban, ACME]])).problems)).toEqual([
      '0 counterpartyIban INVALID_IBAN',
    ]);
  });

  test('may have IBANs and BICs that are valid only in shape if IBAN_CHECK is format', () => {
    const row = aRow({
      counterpartyIban: 'DE88370400440532013000',
      counterpartyBic: 'DEUTZZFF',
    });

    expect(placesOf(read(aBulk([row]), { ...RULES, ibanCheck: 'format' }).problems)).toEqual([]);
  });

  test('may have two end-to-end ids that differ only in case', () => {
    const rows = [aRow({ endToEndId: 'a' }), aRow({ endToEndId: 'A' })];

    expect(placesOf(read(aBulk(rows)).problems)).toEqual([]);
  });

  test('has amounts with the fraction digits of its currency', () => {
    const yen: AccountFacts = { ...ACME, currency: 'JPY' };
    const rows = ['1450', '14.5'].map((amount) => aRow({ amount, currency: 'JPY' }));

    const { transfers } = readAs(yen, aBulk(rows.slice(0, 1)));
    const { problems } = readAs(yen, aBulk(rows));

    expect([transfers[0]?.amountMinor, ...placesOf(problems)]).toEqual([
      1450n,
      '1 amount TOO_MANY_FRACTION_DIGITS',
    ]);
  });
});

describe('a bulk with faults', () => {
  test.each(ROW_FAULTS)(
    'in one field of a row gets the problem of that field: %s in %s, by %j',
    (code, field, value) => {
      const rows = rowsOf(3);
      rows[2] = aRow({ [field]: value });

      expect(placesOf(read(aBulk(rows)).problems)).toEqual([`2 ${field} ${code}`]);
    },
  );

  test.each(BULK_FAULTS)(
    'outside its rows gets a problem without a row: %s in %s',
    (code, field, fault) => {
      const reading = read(aBulk(rowsOf(1), fault), { ...RULES, transfersMax: 3 });

      expect(placesOf(reading.problems)).toEqual([`bulk ${field} ${code}`]);
    },
  );

  test('can get every problem code except those of other inputs', () => {
    const produced = new Set([...ROW_FAULTS, ...BULK_FAULTS].map(([code]) => code));

    const codes = PROBLEM_CODES.filter((code) => !OF_OTHER_INPUTS.includes(code));
    expect([...produced].sort()).toEqual(codes.sort());
  });

  test('gets every problem of every row once, and no other', () => {
    const rowCount = 8;
    /** Draws, for each row and field, one of the field's faults or none. */
    const fields = [...new Set(ROW_FAULTS.map(([, field]) => field))];
    const faultOf = (field: string) =>
      fc.option(fc.constantFrom(...ROW_FAULTS.filter((fault) => fault[1] === field)), { freq: 3 });
    const rowFaults = fc.tuple(...fields.map(faultOf));
    fc.assert(
      fc.property(
        fc.array(rowFaults, { minLength: rowCount, maxLength: rowCount }),
        (faultsOfRows) => {
          const chosen = faultsOfRows.map((faults) => faults.filter((fault) => fault !== null));
          // Row 0 has no fault, because the duplicates repeat its end-to-end id.
          const rows = rowsOf(rowCount + 1).map((row, index) =>
            Object.assign({}, row, ...fieldsOf(chosen[index - 1] ?? [], index)),
          );
          const expected = chosen.flatMap((faults, row) =>
            faults.map(([code, field]) => `${row + 1} ${field} ${code}`),
          );
          const { problems, problemCount } = read(aBulk(rows));
          expect({ places: placesOf(problems).sort(), problemCount }).toEqual({
            places: expected.sort(),
            problemCount: expected.length,
          });
        },
      ),
      { numRuns: 500 },
    );

    /**
     * Returns the fields of a faulty row. The row's index follows a wrong end-to-end id; two rows with the same wrong
     * id would also be duplicates.
     */
    function fieldsOf(faults: readonly (typeof ROW_FAULTS)[number][], index: number) {
      return faults.map(([code, field, value]) => ({
        [field]:
          field === 'endToEndId' && ['TOO_LONG', 'INVALID_CHARACTERS'].includes(code)
            ? value + index
            : value,
      }));
    }
  });

  test('gets its own problems first, then those of its rows in order', () => {
    const rows = rowsOf(5).map((row, index) => (index % 2 ? { ...row, amount: 'x' } : row));
    const request = aBulk(rows, { organizationBic: '?', idempotencyKey: '' });

    expect(placesOf(read(request).problems)).toEqual([
      'bulk idempotencyKey TOO_SHORT',
      'bulk organizationBic INVALID_BIC',
      '1 amount INVALID_AMOUNT',
      '3 amount INVALID_AMOUNT',
    ]);
  });

  test('gets both problems of one text', () => {
    const row = aRow({ description: '\u0000'.repeat(141) });

    expect(placesOf(read(aBulk([row])).problems)).toEqual([
      '0 description TOO_LONG',
      '0 description INVALID_CHARACTERS',
    ]);
  });

  test('gets a problem for each repetition of an end-to-end id, not for its first use', () => {
    const rows = ['a', 'b', 'a', 'a'].map((endToEndId) => aRow({ endToEndId }));

    expect(placesOf(read(aBulk(rows)).problems)).toEqual([
      '2 endToEndId DUPLICATE',
      '3 endToEndId DUPLICATE',
    ]);
  });

  test('gets the problems of its rows even if it has too many rows', () => {
    const rows = [aRow({ amount: 'x' }), aRow()];

    expect(placesOf(read(aBulk(rows), { ...RULES, transfersMax: 1 }).problems)).toEqual([
      'bulk creditTransfers TOO_MANY',
      '0 amount INVALID_AMOUNT',
    ]);
  });

  test('gets the first 1,000 problems and the count of all', () => {
    const rows = Array.from({ length: 1_500 }, () => aRow({ amount: '', counterpartyName: '' }));

    const { problems, problemCount } = read(aBulk(rows));

    expect([problemCount, problems.length, problems.at(-1)?.index]).toEqual([3_000, 1_000, 499]);
  });

  test('gets all of 1,000 problems', () => {
    const rows = Array.from({ length: 1_000 }, () => aRow({ amount: '' }));

    expect(read(aBulk(rows)).problems).toHaveLength(1_000);
  });

  test.each([
    ['is not a number', aRow({ amount: '1e3' })],
    ['is in another currency', aRow({ currency: 'USD' })],
  ])('has no total if an amount %s', (_, row) => {
    expect(read(aBulk([aRow(), row, aRow()])).totalAmountMinor).toBeUndefined();
  });

  test('has a total if all amounts are valid', () => {
    expect(read(aBulk([aRow({ counterpartyIban: '' }), aRow()])).totalAmountMinor).toBe(2_900n);
  });

  test('gets messages that are well-formed and quote at most 50 characters', () => {
    const row = fc.record({
      amount: anyText,
      currency: fc.option(anyText),
      counterpartyName: anyText,
      counterpartyIban: anyText,
      counterpartyBic: fc.option(anyText),
      description: anyText,
      endToEndId: fc.option(anyText),
    });
    const request = fc.record({
      idempotencyKey: anyText,
      organizationIban: fc.constantFrom(ACME.iban, ''),
      organizationName: fc.option(anyText),
      organizationBic: fc.option(anyText),
      creditTransfers: fc.array(row, { maxLength: 4 }),
    });
    fc.assert(
      fc.property(request, (sent) => {
        const wrong = read(sent).problems.filter(({ message }) => {
          const [quoted = '""'] = /^".*"/s.exec(message) ?? [];
          const characters = [...String(JSON.parse(quoted))];
          return (
            !message.isWellFormed() || !message.endsWith('.') || characters.length > 50 + '…'.length
          );
        });
        expect(wrong).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

describe('a bulk of an unknown account', () => {
  test('is rejected for its account if nothing else is wrong', () => {
    const request = normaliseBulk(aBulk([aRow()], { organizationIban: 'es91 2100 0418' }));

    expect(readBulkTransfer(request, undefined, ACCOUNTS, RULES).rejection).toEqual({
      code: 'ACCOUNT_NOT_FOUND',
      iban: 'ES9121000418',
    });
  });

  test('is judged without a comparison of name and BIC', () => {
    const request = aBulk([aRow({ amount: 'x' })], {
      organizationName: 'Nobody',
      organizationBic: 'DEUTDEFF',
    });

    expect(placesOf(read(fromNowhere(request)).problems)).toEqual(['0 amount INVALID_AMOUNT']);
  });

  test('may be in any known currency', () => {
    const rows = [aRow({ currency: 'JPY', amount: '5' }), aRow({ currency: 'JPY', amount: '6' })];

    expect(read(fromNowhere(aBulk(rows)))).toMatchObject({
      totalAmountMinor: 11n,
      problemCount: 0,
    });
  });

  test('may not be in an unknown currency', () => {
    expect(placesOf(read(fromNowhere(aBulk([aRow({ currency: 'ZZZ' })]))).problems)).toEqual([
      '0 currency CURRENCY_MISMATCH',
    ]);
  });

  test('has no total if its rows have several currencies', () => {
    const rows = [aRow({ currency: 'EUR', amount: '1' }), aRow({ currency: 'JPY', amount: '1' })];

    expect(read(fromNowhere(aBulk(rows))).totalAmountMinor).toBeUndefined();
  });
});

describe('the IBANs that a bulk names', () => {
  test("are the debtor's first, then each counterparty's once, normalised", () => {
    const rows = ['nl91 abna 0417 1643 00', 'DE89370400440532013000', 'NL91ABNA0417164300'].map(
      (counterpartyIban) => aRow({ counterpartyIban }),
    );

    const request = aBulk(rows, { organizationIban: 'fr76 30006000011234567890189' });

    expect(ibansOf(normaliseBulk(request))).toEqual([
      'FR7630006000011234567890189',
      'NL91ABNA0417164300',
      'DE89370400440532013000',
    ]);
  });
});

describe('the canonical form of an amount', () => {
  const ONE_AFTER_ZEROS = `0.${'0'.repeat(10_000_000)}1`;

  test.each([
    ['14.5', '14.5'],
    ['14.50', '14.5'],
    ['00014.5000', '14.5'],
    ['14.00', '14'],
    ['014', '14'],
    ['0.10', '0.1'],
    ['000', '0'],
    ['0.00', '0'],
    ['100', '100'],
    ['10.010', '10.01'],
  ])('%s is %s', (text, canonical) => {
    expect(canonicalAmount(text)).toBe(canonical);
  });

  test.each(['', '-5', '+5', '1e3', '1.', '.50', '1,50', ' 5', '00a', '1.2.30', '٣'])(
    'is the text itself if that is not a plain decimal: %j',
    (text) => {
      expect(canonicalAmount(text)).toBe(text);
    },
  );

  /** The spelling of an amount: the number of zeros, and whether a point precedes only zeros. */
  interface Spelling {
    readonly before: number;
    readonly after: number;
    readonly hasPoint: boolean;
  }
  const spelling: fc.Arbitrary<Spelling> = fc.record({
    before: fc.nat(15),
    after: fc.nat(6),
    hasPoint: fc.boolean(),
  });
  /** The amount, in ten-thousandths. */
  const tenThousandths = fc.oneof(fc.nat(30_000), fc.nat(2 ** 31 - 1));
  const spelt = (value: number, { before, after, hasPoint }: Spelling) => {
    const [integer, fraction = ''] = String(value / 10_000).split('.');
    const point = fraction !== '' || (hasPoint && after > 0) ? '.' : '';
    return '0'.repeat(before) + integer + point + fraction + (point && '0'.repeat(after));
  };

  test('is the same for two spellings of one value', () => {
    fc.assert(
      fc.property(tenThousandths, spelling, spelling, (value, one, other) => {
        expect(canonicalAmount(spelt(value, one))).toBe(canonicalAmount(spelt(value, other)));
      }),
      { numRuns: 1_000 },
    );
  });

  test('differs for different values', () => {
    fc.assert(
      fc.property(tenThousandths, tenThousandths, spelling, spelling, (a, b, one, other) => {
        fc.pre(a !== b);
        expect(canonicalAmount(spelt(a, one))).not.toBe(canonicalAmount(spelt(b, other)));
      }),
      { numRuns: 1_000 },
    );
  });

  test('has no leading zeros, however many the text has', () => {
    expect(canonicalAmount(`${'0'.repeat(50)}14.50`)).toBe('14.5');
  });

  test.each([
    ['zeros', '0'.repeat(10_000_000), '0'],
    ['zeros between the point and a one', ONE_AFTER_ZEROS, ONE_AFTER_ZEROS],
    ['nines', '9'.repeat(10_000_000), '9'.repeat(10_000_000)],
    // A search that takes more than linear time exceeds the time limit of the test.
  ])('is found in linear time for ten million %s', (_, text, canonical) => {
    expect(canonicalAmount(text) === canonical).toBe(true);
  });
});

describe.each([1, 2] as const)('the fingerprint of version %i of a bulk', (version) => {
  const full: Required<CreditTransferRequest> = {
    amount: '14.5',
    currency: 'EUR',
    counterpartyName: 'Bip Bip',
    counterpartyIban: 'DE89370400440532013000',
    counterpartyBic: 'DEUTDEFF500',
    description: 'Wonderland/4410',
    endToEndId: 'E2E-1',
  };
  const other = aRow({ amount: '7', description: 'Another' });
  const fingerprintOf = (request: BulkTransferRequest) =>
    bulkTransferFingerprint(normaliseBulk(request), version);
  const fingerprint = fingerprintOf(aBulk([full, other]));

  test.each<[string, BulkTransferRequest]>([
    ['an amount', aBulk([{ ...full, amount: '014.50' }, other])],
    ['an IBAN', aBulk([{ ...full, counterpartyIban: 'de89 3704 0044 0532 0130 00' }, other])],
    ['a BIC', aBulk([{ ...full, counterpartyBic: 'deut de ff 500' }, other])],
    ['the default currency', aBulk([full, { ...other, currency: 'EUR' }])],
    ['absent values', aBulk([full, { ...other, counterpartyBic: null, endToEndId: null }])],
    [
      'its account',
      aBulk([full, other], { organizationIban: 'fr76 3000 6000 0112 3456 7890 189' }),
    ],
    ['its key', aBulk([full, other], { idempotencyKey: 'k' })],
  ])('does not change with the spelling of %s', (_, request) => {
    expect(fingerprintOf(request)).toBe(fingerprint);
  });

  test.each<[string, BulkTransferRequest]>([
    ['its account', aBulk([full, other], { organizationIban: MASKED.iban })],
    ['an amount', aBulk([{ ...full, amount: '14.51' }, other])],
    ['a currency', aBulk([{ ...full, currency: 'USD' }, other])],
    ['a name', aBulk([{ ...full, counterpartyName: 'bip bip' }, other])],
    ['an IBAN', aBulk([{ ...full, counterpartyIban: 'DE75512108001245126199' }, other])],
    ['a BIC', aBulk([{ ...full, counterpartyBic: 'DEUTDEFF600' }, other])],
    ['an absent BIC', aBulk([{ ...full, counterpartyBic: null }, other])],
    ['a description', aBulk([{ ...full, description: 'Wonderland/4411' }, other])],
    ['an end-to-end id', aBulk([{ ...full, endToEndId: 'E2E-2' }, other])],
    ['an absent end-to-end id', aBulk([{ ...full, endToEndId: null }, other])],
    ['an empty end-to-end id', aBulk([full, { ...other, endToEndId: '' }])],
    ['the order of its rows', aBulk([other, full])],
    ['a row less', aBulk([full])],
    ['a row twice', aBulk([full, other, other])],
  ])('changes with %s', (_, request) => {
    expect(fingerprintOf(request)).not.toBe(fingerprint);
  });

  test('is equal if and only if the rows are equal', () => {
    const row = fc.record({
      amount: fc.constantFrom('1', '1.0', '01', '1.01'),
      currency: fc.constantFrom(undefined, null, 'EUR', 'USD'),
      counterpartyName: fc.constantFrom('a', 'A', 'a '),
      counterpartyIban: fc.constantFrom('DE1A', 'de 1a', 'DE1B'),
      counterpartyBic: fc.constantFrom(undefined, null, 'B', 'b '),
      description: fc.constantFrom('', ' '),
      endToEndId: fc.constantFrom(undefined, null, '1'),
    });
    const MEANING: Readonly<Record<string, string>> = {
      '1.0': '1',
      '01': '1',
      'de 1a': 'DE1A',
      'b ': 'B',
    };
    const meaningOf = (rows: readonly CreditTransferRequest[]) =>
      JSON.stringify(
        rows.map(({ currency, counterpartyBic, endToEndId, ...rest }) => [
          currency ?? 'EUR',
          endToEndId ?? null,
          counterpartyBic && (MEANING[counterpartyBic] ?? counterpartyBic),
          MEANING[rest.amount] ?? rest.amount,
          rest.counterpartyName,
          MEANING[rest.counterpartyIban] ?? rest.counterpartyIban,
          rest.description,
        ]),
      );
    fc.assert(
      fc.property(
        fc.array(row, { maxLength: 2 }),
        fc.array(row, { maxLength: 2 }),
        (one, another) => {
          expect(fingerprintOf(aBulk(one)) === fingerprintOf(aBulk(another))).toBe(
            meaningOf(one) === meaningOf(another),
          );
        },
      ),
      { numRuns: 2_000 },
    );
  });

  test('is the same for the request and for the recorded rows', () => {
    const withSpaces = (text: string) =>
      fc.constantFrom(text, text.toLowerCase(), text.replace(/(.{4})/g, '$1 '));
    const row = fc.record({
      amount: fc.stringMatching(/^0{0,3}[1-9][0-9]{0,8}(\.[0-9]{1,3})?$/),
      counterpartyName: fc.constantFrom('Zoë', 'a ', 'Σ"\\'),
      counterpartyIban: withSpaces('DE89370400440532013000'),
      counterpartyBic: fc.option(withSpaces('DEUTDEFF500')),
      description: fc.string({ unit: fc.constantFrom('a', ' ', 'é', '😀'), maxLength: 9 }),
    });
    fc.assert(
      fc.property(
        fc.array(row, { minLength: 1 }),
        fc.constantFrom('EUR', 'JPY', 'KWD'),
        (rows, currency) => {
          const debtor = { ...ACME, currency };
          const request = aBulk(
            rows.map((sent, index) => ({
              ...sent,
              currency,
              endToEndId: index % 2 ? `${index}` : null,
            })),
            { organizationIban: ' fr76 3000 6000 0112 3456 7890 189' },
          );
          const { transfers, problemCount } = readAs(debtor, request);
          fc.pre(problemCount === 0);
          const recorded = transfers.map((transfer) => ({ ...transfer, currency }));

          expect(recordedBulkFingerprint(debtor.iban, recorded, version)).toBe(
            fingerprintOf(request),
          );
        },
      ),
    );
  });

  /** Returns rows of every kind, with texts that contain characters that JSON escapes. */
  const rowsOfHash = (count: number) =>
    Array.from({ length: count }, (_, index) => ({
      amount: `${index}.50`,
      counterpartyName: `Söhne "${index}" \ud83d`,
      counterpartyIban: 'de89 3704 0044 0532 0130 00',
      description: `Row\n${index}`,
      ...(index % 2 === 1 && {
        endToEndId: `E${index}`,
        currency: 'USD',
        counterpartyBic: 'crlyfrpptou',
      }),
    }));

  /** Pinned fingerprints. Ledgers keep fingerprints forever, so these must never change: see FingerprintVersion. */
  const PINNED: Readonly<Record<1 | 2, [count: number, fingerprint: string][]>> = {
    1: [
      [0, '890abe9e30cc23fcb81a352c42c279d7ca553e2d6bdb21f20eecace80d3605dd'],
      [1, 'ebb17f26ed2b582bd958323cc6056397dcedfcaeaf98c32d71265e0b8f4b921d'],
      [2, '543a137bc6db29499511f0d0cbf5d8816fd673235d1b6dc18786fefa53f19c7a'],
      [5_000, '2f7b8fa160d878278ff01214e25eeebb9b572230f1c5ecd0ee646f1787b0cf78'],
    ],
    2: [
      [0, '2:iQq-njDMI_y4GjUsQsJ518pVPi1r2yHyDuys6A02Bd0'],
      [1, '2:_Njq4b_Fjzb_JrWNB7nvmYZiTPYmw4LTtjK6rlb1Y-E'],
      [2, '2:SUHxuDFzOrWE91uDAkqcSBm7K8VAJadKTk4M3V-zGRs'],
      [5_000, '2:vnmVnF9571eYh14-WrEMbSKjEwU-O91emaPb9unO2N0'],
    ],
  };

  test.each(PINNED[version])('never changes: %i rows', (count, expected) => {
    expect(fingerprintOf(aBulk(rowsOfHash(count)))).toBe(expected);
  });

  test('does not depend on the ranges in which the rows are added', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(7), { maxLength: 8 }), (sizes) => {
        const request = aBulk(rowsOfHash(sizes.reduce((sum, size) => sum + size, 0)));
        const inParts = new BulkTransferFingerprint(normaliseBulk(request), version);
        let start = 0;
        for (const size of sizes) {
          inParts.add(start, start + size);
          start += size;
        }
        expect(inParts.digest()).toBe(fingerprintOf(request));
      }),
    );
  });
});

test('a bulk that is read in ranges has the same reading as one that is read at once', () => {
  const rows = rowsOf(30).map((row, index) => ({
    ...row,
    amount: index % 7 === 3 ? 'none' : `${index}.25`,
    endToEndId: `E2E-${index % 20}`,
  }));
  const request = aBulk(rows);
  const reader = new BulkTransferReader(normaliseBulk(request), debtorOf(request), ACCOUNTS, RULES);
  for (const [start, end] of [
    [0, 1],
    [1, 17],
    [17, 30],
  ] as const) {
    reader.read(start, end);
  }

  expect(read(request).problemCount).toBeGreaterThan(10);
  expect(outcomeOf(reader.reading())).toEqual(read(request));
});
