/**
 * BBAN structures of countries for which the tables of ibantools 4.5.4 differ from the countries' own rules. The
 * notation is that of ISO 13616: 4!c is four letters or digits, 4!a is four letters, 4!n is four digits.
 *
 * Sources: the SWIFT IBAN registry, release 100. Members of the West African monetary union are not in the registry;
 * their source is the BCEAO's account identifier. It has a bank of five characters that begins with one or two
 * letters of its country, a branch, an account and a key. Compared on 2026-11-26. The tests hold the whole registry.
 */
export const BBAN_STRUCTURES: Readonly<Record<string, string>> = {
  BY: '4!c4!n16!c',
  CI: '2!c22!n',
  DO: '4!c20!n',
  GE: '2!a16!n',
  IE: '4!a6!n8!n',
  NE: '2!c22!n',
  PK: '4!a16!c',
  PS: '4!a21!c',
  SN: '2!c22!n',
  TG: '2!c22!n',
  TR: '5!n1!n16!c',
  VG: '4!a16!n',
};

const CHARACTERS = { n: '[0-9]', a: '[A-Z]', c: '[A-Z0-9]' } as const;

/** Compiles a structure such as 4!a6!n8!n to a pattern. */
export function bbanPatternOf(structure: string): RegExp {
  const pattern = structure.replace(
    /([0-9]+)!([nac])/g,
    (_, count: string, kind: keyof typeof CHARACTERS) => `${CHARACTERS[kind]}{${count}}`,
  );
  return new RegExp(`^${pattern}$`);
}
