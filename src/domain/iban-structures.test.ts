import fc from 'fast-check';
import { countrySpecs, ValidationErrorsIBAN, validateIBAN } from 'ibantools';
import { describe, expect, test } from 'vitest';
import { ibanProblem } from './iban.js';
import { BBAN_STRUCTURES, bbanPatternOf } from './iban-structures.js';

/** The SWIFT IBAN registry, release 100: the BBAN structure of each country, and its example in electronic form. */
const REGISTRY: Readonly<Record<string, readonly [structure: string, example: string]>> = {
  AD: ['4!n4!n12!c', 'AD1200012030200359100100'],
  AE: ['3!n16!n', 'AE070331234567890123456'],
  AL: ['8!n16!c', 'AL47212110090000000235698741'],
  AT: ['5!n11!n', 'AT611904300234573201'],
  AZ: ['4!a20!c', 'AZ21NABZ00000000137010001944'],
  BA: ['3!n3!n8!n2!n', 'BA391290079401028494'],
  BE: ['3!n7!n2!n', 'BE68539007547034'],
  BG: ['4!a4!n2!n8!c', 'BG80BNBG96611020345678'],
  BH: ['4!a14!c', 'BH67BMAG00001299123456'],
  BI: ['5!n5!n11!n2!n', 'BI4210000100010000332045181'],
  BR: ['8!n5!n10!n1!a1!c', 'BR1800360305000010009795493C1'],
  BY: ['4!c4!n16!c', 'BY13NBRB3600900000002Z00AB00'],
  CH: ['5!n12!c', 'CH9300762011623852957'],
  CR: ['4!n14!n', 'CR05015202001026284066'],
  CY: ['3!n5!n16!c', 'CY17002001280000001200527600'],
  CZ: ['4!n16!n', 'CZ6508000000192000145399'],
  DE: ['8!n10!n', 'DE89370400440532013000'],
  DJ: ['5!n5!n11!n2!n', 'DJ2100010000000154000100186'],
  DK: ['4!n9!n1!n', 'DK5000400440116243'],
  DO: ['4!c20!n', 'DO28BAGR00000001212453611324'],
  EE: ['2!n14!n', 'EE382200221020145685'],
  EG: ['4!n4!n17!n', 'EG380019000500000000263180002'],
  ES: ['4!n4!n1!n1!n10!n', 'ES9121000418450200051332'],
  FI: ['3!n11!n', 'FI2112345600000785'],
  FK: ['2!a12!n', 'FK88SC123456789012'],
  FO: ['4!n9!n1!n', 'FO6264600001631634'],
  FR: ['5!n5!n11!c2!n', 'FR1420041010050500013M02606'],
  GB: ['4!a6!n8!n', 'GB29NWBK60161331926819'],
  GE: ['2!a16!n', 'GE29NB0000000101904917'],
  GI: ['4!a15!c', 'GI75NWBK000000007099453'],
  GL: ['4!n9!n1!n', 'GL8964710001000206'],
  GR: ['3!n4!n16!c', 'GR1601101250000000012300695'],
  GT: ['4!c20!c', 'GT82TRAJ01020000001210029690'],
  HN: ['4!a20!n', 'HN88CABF00000000000250005469'],
  HR: ['7!n10!n', 'HR1210010051863000160'],
  HU: ['3!n4!n1!n15!n1!n', 'HU42117730161111101800000000'],
  IE: ['4!a6!n8!n', 'IE29AIBK93115212345678'],
  IL: ['3!n3!n13!n', 'IL620108000000099999999'],
  IQ: ['4!a3!n12!n', 'IQ98NBIQ850123456789012'],
  IS: ['4!n2!n6!n10!n', 'IS140159260076545510730339'],
  IT: ['1!a5!n5!n12!c', 'IT60X0542811101000000123456'],
  JO: ['4!a4!n18!c', 'JO94CBJO0010000000000131000302'],
  KW: ['4!a22!c', 'KW81CBKU0000000000001234560101'],
  KZ: ['3!n13!c', 'KZ86125KZT5004100100'],
  LB: ['4!n20!c', 'LB62099900000001001901229114'],
  LC: ['4!a24!c', 'LC55HEMM000100010012001200023015'],
  LI: ['5!n12!c', 'LI21088100002324013AA'],
  LT: ['5!n11!n', 'LT121000011101001000'],
  LU: ['3!n13!c', 'LU280019400644750000'],
  LV: ['4!a13!c', 'LV80BANK0000435195001'],
  LY: ['3!n3!n15!n', 'LY83002048000020100120361'],
  MC: ['5!n5!n11!c2!n', 'MC5811222000010123456789030'],
  MD: ['2!c18!c', 'MD24AG000225100013104168'],
  ME: ['3!n13!n2!n', 'ME25505000012345678951'],
  MK: ['3!n10!c2!n', 'MK07250120000058984'],
  MN: ['4!n12!n', 'MN121234123456789123'],
  MR: ['5!n5!n11!n2!n', 'MR1300020001010000123456753'],
  MT: ['4!a5!n18!c', 'MT84MALT011000012345MTLCAST001S'],
  MU: ['4!a2!n2!n12!n3!n3!a', 'MU17BOMM0101101030300200000MUR'],
  NI: ['4!a20!n', 'NI45BAPR00000013000003558124'],
  NL: ['4!a10!n', 'NL91ABNA0417164300'],
  NO: ['4!n6!n1!n', 'NO9386011117947'],
  OM: ['3!n16!c', 'OM810180000001299123456'],
  PK: ['4!a16!c', 'PK36SCBL0000001123456702'],
  PL: ['8!n16!n', 'PL61109010140000071219812874'],
  PS: ['4!a21!c', 'PS92PALS000000000400123456702'],
  PT: ['4!n4!n11!n2!n', 'PT50000201231234567890154'],
  QA: ['4!a21!c', 'QA58DOHB00001234567890ABCDEFG'],
  RO: ['4!a16!c', 'RO49AAAA1B31007593840000'],
  RS: ['3!n13!n2!n', 'RS35260005601001611379'],
  RU: ['9!n5!n15!c', 'RU0304452522540817810538091310419'],
  SA: ['2!n18!c', 'SA0380000000608010167519'],
  SC: ['4!a2!n2!n16!n3!a', 'SC18SSCB11010000000000001497USD'],
  SD: ['2!n12!n', 'SD2129010501234001'],
  SE: ['3!n16!n1!n', 'SE4550000000058398257466'],
  SI: ['5!n8!n2!n', 'SI56263300012039086'],
  SK: ['4!n6!n10!n', 'SK3112000000198742637541'],
  SM: ['1!a5!n5!n12!c', 'SM86U0322509800000000270100'],
  SO: ['4!n3!n12!n', 'SO211000001001000100141'],
  ST: ['4!n4!n11!n2!n', 'ST23000100010051845310146'],
  SV: ['4!a20!n', 'SV62CENR00000000000000700025'],
  TL: ['3!n14!n2!n', 'TL380080012345678910157'],
  TN: ['2!n3!n13!n2!n', 'TN5910006035183598478831'],
  TR: ['5!n1!n16!c', 'TR330006100519786457841326'],
  UA: ['6!n19!c', 'UA213223130000026007233566001'],
  VA: ['3!n15!n', 'VA59001123000012345678'],
  VG: ['4!a16!n', 'VG96VPVG0000012345678901'],
  XK: ['4!n10!n2!n', 'XK051212012345678906'],
  YE: ['4!a4!n18!c', 'YE15CBYE0001018861234567891234'],
};

/** Territories whose IBANs have the structure of another country: "includes other countries" in the registry. */
const TERRITORIES: Readonly<Record<string, string>> = {
  AX: 'FI',
  ...Object.fromEntries(
    'GF GP MQ RE PF TF YT NC BL MF PM WF'.split(' ').map((code) => [code, 'FR']),
  ),
};

const COUNTRIES = Object.entries(REGISTRY).map(([country, [structure, example]]) => ({
  country,
  structure,
  example,
}));

const DIGITS = [...'0123456789'];
const LETTERS = [...'ABCDEFGHIJKLMNOPQRSTUVWXYZ'];
const CHARACTERS: Readonly<Record<string, readonly string[]>> = {
  n: DIGITS,
  a: LETTERS,
  c: [...DIGITS, ...LETTERS],
};

/** Returns the kind of each character of a BBAN: "aaaannnn". */
function kindsOf(structure: string): string[] {
  return [...structure.matchAll(/([0-9]+)!([nac])/g)].flatMap(([, count, kind = '']) =>
    Array.from({ length: Number(count) }, () => kind),
  );
}

/** Computes check digits by ISO 7064 MOD 97-10, over the number that the letters make. */
function withCheckDigits(country: string, bban: string): string {
  const number = [...`${bban}${country}00`].map((character) => Number.parseInt(character, 36));
  const digits = 98n - (BigInt(number.join('')) % 97n);
  return `${country}${String(digits).padStart(2, '0')}${bban}`;
}

function remainderOf(iban: string): bigint {
  const moved = iban.slice(4) + iban.slice(0, 4);
  return BigInt([...moved].map((character) => Number.parseInt(character, 36)).join('')) % 97n;
}

describe('the IBAN registry of these tests', () => {
  test('has all 89 countries of release 100', () => {
    expect(COUNTRIES).toHaveLength(89);
  });

  test.each(COUNTRIES)('has a valid example of $country', ({ country, structure, example }) => {
    expect(example.slice(0, 2)).toBe(country);
    expect(example.slice(4)).toMatch(bbanPatternOf(structure));
    expect(remainderOf(example)).toBe(1n);
  });

  test.each(COUNTRIES)(
    'agrees with ibantools on $country, except where the supplement differs',
    ({ country, structure, example }) => {
      const errors = validateIBAN(example).errorCodes.filter(
        (code) =>
          code !== ValidationErrorsIBAN.WrongAccountBankBranchChecksum &&
          // ibantools lists Honduras, Burundi, Djibouti and the Falkland Islands among the countries that are in no
          // registry.
          code !== ValidationErrorsIBAN.NoIBANCountry,
      );
      const expected =
        country in BBAN_STRUCTURES
          ? { [country]: BBAN_STRUCTURES[country] }
          : { [country]: structure };
      expect({ [country]: structure }).toEqual(expected);
      expect(errors).toEqual([]);
      expect(countrySpecs[country]?.chars).toBe(example.length);
    },
  );
});

describe.each([
  ...COUNTRIES,
  ...Object.entries(TERRITORIES).map(([country, home]) => {
    const [structure = '', example = ''] = REGISTRY[home] ?? [];
    return { country, structure, example: withCheckDigits(country, example.slice(4)) };
  }),
])('an IBAN of $country', ({ country, structure, example }) => {
  const kinds = kindsOf(structure);
  const bban = fc
    .tuple(...kinds.map((kind) => fc.constantFrom(...(CHARACTERS[kind] ?? []))))
    .map((characters) => characters.join(''));

  test('is valid if it is the example', () => {
    expect(ibanProblem(example, 'strict')).toBeUndefined();
  });

  test('is valid with any BBAN of its structure', () => {
    fc.assert(
      fc.property(bban, (text) => {
        const iban = withCheckDigits(country, text);
        expect([iban, ibanProblem(iban, 'strict')]).toEqual([iban, undefined]);
      }),
      { numRuns: 50 },
    );
  });

  test('is invalid with a letter for a digit or a digit for a letter, whatever its check digits', () => {
    const places = [...kinds.entries()].filter(([, kind]) => kind !== 'c').map(([place]) => place);
    for (const place of places) {
      const other = kinds[place] === 'n' ? 'A' : '0';
      const text = example.slice(4, 4 + place) + other + example.slice(5 + place);
      expect([text, ibanProblem(withCheckDigits(country, text), 'strict')]).toEqual([
        text,
        'INVALID_IBAN',
      ]);
    }
  });

  test('is invalid with a character more or less', () => {
    for (const text of [`${example.slice(4)}0`, example.slice(4, -1)]) {
      expect(ibanProblem(withCheckDigits(country, text), 'strict')).toBe('INVALID_IBAN');
    }
  });
});

test.each([
  'BY26AKB10100000002966000000A',
  'DO08BA1R00000001212453611324',
  'PS70PALSA00000000400123456702',
  'CI93CI0080111301134291200589',
  'SN08SN0100152000048500003035',
  'TG53TG0090604310346500400070',
])('an IBAN that ibantools refuses, or once refused, for its structure is valid: %s', (iban) => {
  expect(ibanProblem(iban, 'strict')).toBeUndefined();
});
