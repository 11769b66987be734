import { describe, expect, test } from 'vitest';
import type { CreditTransferRequest } from './bulk-transfer.js';
import { sepaProblems } from './sepa-rules.js';

const aTransfer = (changes: Partial<CreditTransferRequest> = {}): CreditTransferRequest => ({
  amount: '14.50',
  counterpartyName: 'Bip Bip',
  counterpartyIban: 'DE89370400440532013000',
  description: 'Salary November',
  ...changes,
});

const placesOf = (changes: Partial<CreditTransferRequest>) =>
  sepaProblems(aTransfer(changes)).map(({ field, code }) => `${field} ${code}`);

describe('the rules of SEPA', () => {
  test('allow every character of its set', () => {
    const set = "abcXYZ 0189 / - ? : ( ) . , ' +";
    expect(placesOf({ counterpartyName: set, description: set, endToEndId: 'A/b-1.2' })).toEqual(
      [],
    );
  });

  test('allow a transfer without a description or an end-to-end id', () => {
    expect(placesOf({ description: '', endToEndId: null })).toEqual([]);
  });

  test.each([
    ['counterpartyName', 70],
    ['description', 140],
  ])('allow a %s of %d characters, and none of more', (field, max) => {
    expect(placesOf({ [field]: 'x'.repeat(max) })).toEqual([]);
    expect(placesOf({ [field]: 'x'.repeat(max + 1) })).toEqual([`${field} TOO_LONG`]);
  });

  test.each(['counterpartyName', 'description', 'endToEndId'])(
    'name each character of the %s that is not in the set, once',
    (field) => {
      const [problem, ...others] = sepaProblems(aTransfer({ [field]: 'Zoë & Zoë_\u200d' }));

      expect(problem).toMatchObject({ field, code: 'INVALID_CHARACTERS' });
      expect(problem?.message).toContain('contains ë (U+00EB), & (U+0026), _ (U+005F), U+200D');
      expect(others).toEqual([]);
    },
  );

  test('name ten characters at most', () => {
    const [problem] = sepaProblems(aTransfer({ description: 'À Á Â Ã Ä Å Æ Ç È É Ê Ë' }));

    expect(problem?.message).toContain('É (U+00C9) and others');
    expect(problem?.message).not.toContain('Ê (');
  });

  test.each(['/A', 'A/', 'A//B'])('refuse the slashes of the end-to-end id %s', (endToEndId) => {
    expect(placesOf({ endToEndId })).toEqual(['endToEndId INVALID_CHARACTERS']);
  });

  test('allow the same slashes in a description', () => {
    expect(placesOf({ description: '/A//B/' })).toEqual([]);
  });
});
