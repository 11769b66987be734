import fc from 'fast-check';
import { countrySpecs, ValidationErrorsIBAN, validateIBAN } from 'ibantools';
import { describe, expect, test } from 'vitest';
import { bicProblem, ibanProblem, isBic, isSameBic, normaliseBic, normaliseIban } from './iban.js';
import { BBAN_STRUCTURES } from './iban-structures.js';

/** Examples of the SWIFT IBAN registry. */
const REGISTERED = [
  'BE68539007547034',
  'BR1800360305000010009795493C1',
  'CH9300762011623852957',
  'DE89370400440532013000',
  'ES9121000418450200051332',
  'FI2112345600000785',
  'FR1420041010050500013M02606',
  'GB29NWBK60161331926819',
  'IT60X0542811101000000123456',
  'LC55HEMM000100010012001200023015',
  'MT84MALT011000012345MTLCAST001S',
  'NL91ABNA0417164300',
  'NO9386011117947',
  'PL61109010140000071219812874',
  'QA58DOHB00001234567890ABCDEFG',
  'SA0380000000608010167519',
  'SE4550000000058398257466',
];

/** Computes check digits by ISO 7064 MOD 97-10, over the number that the letters make. */
function withCheckDigits(country: string, bban: string): string {
  const number = [...`${bban}${country}00`].map((character) => Number.parseInt(character, 36));
  const digits = 98n - (BigInt(number.join('')) % 97n);
  return `${country}${String(digits).padStart(2, '0')}${bban}`;
}

const germanBban = fc.stringMatching(/^[0-9]{18}$/);

describe('an IBAN', () => {
  test.each(REGISTERED)('of the registry is valid: %s', (iban) => {
    expect(ibanProblem(iban, 'strict')).toBeUndefined();
  });

  test('is valid with the check digits that ISO 7064 gives it', () => {
    fc.assert(
      fc.property(germanBban, (bban) => {
        expect(ibanProblem(withCheckDigits('DE', bban), 'strict')).toBeUndefined();
      }),
    );
  });

  test('with one wrong digit has wrong check digits', () => {
    fc.assert(
      fc.property(germanBban, fc.nat(17), fc.integer({ min: 1, max: 9 }), (bban, place, shift) => {
        const iban = withCheckDigits('DE', bban);
        const digit = (Number(iban.charAt(4 + place)) + shift) % 10;
        const wrong = iban.slice(0, 4 + place) + digit + iban.slice(5 + place);
        expect(ibanProblem(wrong, 'strict')).toBe('INVALID_IBAN_CHECKSUM');
      }),
    );
  });

  test('with two neighbouring digits swapped has wrong check digits', () => {
    fc.assert(
      fc.property(germanBban, fc.integer({ min: 4, max: 20 }), (bban, place) => {
        const iban = withCheckDigits('DE', bban);
        const one = iban.charAt(place);
        const other = iban.charAt(place + 1);
        fc.pre(one !== other);
        const wrong = iban.slice(0, place) + other + one + iban.slice(place + 2);
        expect(ibanProblem(wrong, 'strict')).toBe('INVALID_IBAN_CHECKSUM');
      }),
    );
  });

  test.each([
    ['a country without IBANs', 'ZZ89370400440532013000'],
    ['a digit too few', 'DE8937040044053201300'],
    ['a digit too many', 'DE893704004405320130000'],
    ['a letter in the place of a digit', 'DE8937040044053201300X'],
    ['no check digits', 'DEXX370400440532013000'],
    ['a dash', 'DE89-3704-0044-0532-0130-00'],
    ['lower case', 'de89370400440532013000'],
    ['35 characters', `DE89${'0'.repeat(31)}`],
    ['a line break at its end', 'DE89370400440532013000\n'],
    ['nothing after its check digits', 'DE89'],
    ['nothing', ''],
  ])('with %s is invalid', (_, iban) => {
    expect(ibanProblem(iban, 'strict')).toBe('INVALID_IBAN');
  });

  test('is not refused for its national check digits', () => {
    // The last two digits of a French account number are its key. The right key of this number is 06.
    const iban = withCheckDigits('FR', '20041010050500013M02607');

    expect(ibanProblem(iban, 'strict')).toBeUndefined();
  });

  test.each([
    'DE88370400440532013000',
    'FR10474608000002006107XXXXX',
    'ZZ00X',
    `DE89${'0'.repeat(30)}`,
  ])('is valid by its shape alone if IBAN_CHECK is format: %s', (iban) => {
    expect(ibanProblem(iban, 'format')).toBeUndefined();
  });

  test.each(['', 'DE89', 'D189X', 'DE8X3', 'DE89-3704', `DE89${'0'.repeat(31)}`])(
    'without the shape of an IBAN is refused even if IBAN_CHECK is format: %j',
    (iban) => {
      expect(ibanProblem(iban, 'format')).toBe('INVALID_IBAN');
    },
  );

  test('is normalised to the same text, however it is spaced and cased', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...REGISTERED),
        fc.array(fc.record({ isLower: fc.boolean(), spaces: fc.nat(2) }), {
          minLength: 34,
          maxLength: 34,
        }),
        (iban, spelling) => {
          const spelt = [...iban].map((character, place) => {
            const { isLower = false, spaces = 0 } = spelling[place] ?? {};
            return ' '.repeat(spaces) + (isLower ? character.toLowerCase() : character);
          });
          expect(normaliseIban(`${spelt.join('')} `)).toBe(iban);
        },
      ),
    );
  });

  test.each([
    ['a ligature', 'ﬁ2112345600000785'],
    ['a dotless i', 'Fı2112345600000785'],
    ['a long s', 'ſE4550000000058398257466'],
    ['a sharp s', 'DE89ß'],
  ])('with %s, whose upper case is ASCII, is invalid', (_, sent) => {
    expect(ibanProblem(normaliseIban(sent), 'format')).toBe('INVALID_IBAN');
  });

  test.each([
    ['a no-break space', '\u00a0'],
    ['a narrow no-break space', '\u202f'],
    ['a thin space', '\u2009'],
    ['an ideographic space', '\u3000'],
    ['a zero-width space', '\u200b'],
    ['a word joiner', '\u2060'],
    ['a byte order mark', '\ufeff'],
    ['a soft hyphen', '\u00ad'],
    ['marks of direction', '\u200e\u200f\u061c'],
    ['an embedding', '\u202a\u202c'],
    ['isolates', '\u2068\u2069'],
    ['a tab', '\t'],
    ['a line break', '\r\n'],
    ['a line separator', '\u2028'],
  ])('is normalised if it is pasted with %s', (_, pasted) => {
    const sent = `${pasted}DE89${pasted}3704 0044 0532 0130 00${pasted}`;

    expect(normaliseIban(sent)).toBe('DE89370400440532013000');
    expect(normaliseBic(`${pasted}deut${pasted}deff${pasted}`)).toBe('DEUTDEFF');
  });

  test.each(['DE89-3704', '٣', 'DE89\u202e3704', 'DE89\u202d3704', '\u0000', '１'])(
    'keeps characters that are neither small letters nor added by pasting: %j',
    (sent) => {
      expect(normaliseIban(sent)).toBe(sent);
    },
  );
});

describe('a BIC', () => {
  test.each(['DEUTDEFF', 'DEUTDEFF500', 'CRLYFRPPTOU', 'OIVUSCLQXXX', 'CHASUS33', 'NLPRXKPR'])(
    'of 8 or 11 characters and an existing country is valid: %s',
    (bic) => {
      expect(isBic(bic, 'strict')).toBe(true);
    },
  );

  test('may have digits among its first four characters, as ISO 20022 has it since 2014', () => {
    expect(isBic('A1B2DEFF', 'strict')).toBe(true);
  });

  test.each(['', 'DEUTDEF', 'DEUTDEFF5', 'DEUTDEFF50', 'DEUTDEFF5000', 'DEUT1EFF', 'DEUT-EFF'])(
    'of another shape is invalid in either check: %j',
    (bic) => {
      expect([isBic(bic, 'strict'), isBic(bic, 'format')]).toEqual([false, false]);
    },
  );

  test('of a country that does not exist is valid only if IBAN_CHECK is format', () => {
    expect([isBic('DEUTZZFF', 'strict'), isBic('DEUTZZFF', 'format')]).toEqual([false, true]);
  });

  test.each([
    ['COBAXXFF', 'strict', '"COBAXXFF" is not a BIC: no country has the code XX.'],
    ['cobazzffxxx', 'strict', '"cobazzffxxx" is not a BIC: no country has the code ZZ.'],
    ['COBADE', 'strict', '"COBADE" is not a BIC: 8 or 11 letters and digits are expected.'],
    ['COBADE', 'format', '"COBADE" is not a BIC: 8 or 11 letters and digits are expected.'],
  ] as const)('that is invalid gets a reason: %s in the %s check', (sent, check, message) => {
    expect(bicProblem(sent, 'counterpartyBic', check, 3)).toEqual({
      index: 3,
      field: 'counterpartyBic',
      code: 'INVALID_BIC',
      message,
    });
  });

  test.each(['', ' ', '\u200b'])('that is empty is left out: %j', (sent) => {
    expect(bicProblem(sent, 'counterpartyBic', 'format')).toMatchObject({
      code: 'INVALID_BIC',
      message: 'A BIC has 8 or 11 characters; omit the field if there is no BIC.',
    });
  });

  test('is normalised as an IBAN is', () => {
    expect(normaliseBic(' deut de ff 500')).toBe('DEUTDEFF500');
  });

  test('with a ligature, whose upper case is ASCII, is invalid', () => {
    expect(isBic(normaliseBic('DEUTDEﬀ'), 'format')).toBe(false);
  });

  test.each([
    ['DEUTDEFF', 'DEUTDEFFXXX', true],
    ['DEUTDEFFXXX', 'DEUTDEFF', true],
    ['DEUTDEFF', 'DEUTDEFF', true],
    ['DEUTDEFF500', 'DEUTDEFF500', true],
    ['DEUTDEFF', 'DEUTDEFF500', false],
    ['DEUTDEFF500', 'DEUTDEFFXXX', false],
    ['DEUTDEFF', 'DEUTDEBB', false],
  ])('%s and %s name the same office: %s', (one, other, isSame) => {
    expect(isSameBic(one, other)).toBe(isSame);
  });
});

/** Returns the judgement of ibantools, except for national check digits inside the account number. */
function judgedByIbantools(iban: string) {
  const wrong = validateIBAN(iban).errorCodes.filter(
    (code) => code !== ValidationErrorsIBAN.WrongAccountBankBranchChecksum,
  );
  if (wrong.length === 0) return undefined;
  return wrong.every((code) => code === ValidationErrorsIBAN.WrongIBANChecksum)
    ? 'INVALID_IBAN_CHECKSUM'
    : 'INVALID_IBAN';
}

test('an IBAN outside the supplement, valid or one character away, is judged as ibantools does', () => {
  const listed = Object.keys(countrySpecs).filter((country) => !(country in BBAN_STRUCTURES));
  const anyCountry = fc.constantFrom(...listed, 'ZZ');
  const bban = fc.string({ unit: fc.constantFrom(...'0123456789ABCXYZ'), maxLength: 30 });
  const checkDigits = fc.integer({ min: 0, max: 99 }).map((n) => String(n).padStart(2, '0'));
  const composed = fc.tuple(
    anyCountry,
    checkDigits,
    bban.filter((text) => text !== ''),
  );
  const registered = fc.tuple(
    fc.constantFrom(...REGISTERED),
    fc.nat({ max: 33 }),
    fc.constantFrom(...'0123456789ABCXYZ', ''),
  );
  fc.assert(
    fc.property(composed, ([country, check, text]) => {
      const iban = country + check + text;
      expect([iban, ibanProblem(iban, 'strict')]).toEqual([iban, judgedByIbantools(iban)]);
    }),
    { numRuns: 2_000 },
  );
  fc.assert(
    fc.property(registered, ([right, place, character]) => {
      const iban = right.slice(0, place) + character + right.slice(place + 1);
      fc.pre(/^[A-Z]{2}[0-9]{2}/.test(iban) && !(iban.slice(0, 2) in BBAN_STRUCTURES));
      expect([iban, ibanProblem(iban, 'strict')]).toEqual([iban, judgedByIbantools(iban)]);
    }),
    { numRuns: 2_000 },
  );
});
