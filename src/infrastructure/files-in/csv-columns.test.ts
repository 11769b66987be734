import { describe, expect, test } from 'vitest';
import { DomainError } from '../../domain/errors.js';
import { readHeader } from './csv-columns.js';

function problemsOf(header: readonly string[]): string[] {
  try {
    readHeader(header, 3);
    return [];
  } catch (error) {
    if (!(error instanceof DomainError) || error.rejection.code !== 'INVALID_INPUT') throw error;
    return error.rejection.problems.map(({ code, message }) => `${code} ${message}`);
  }
}

describe('a header', () => {
  test.each([
    ['beneficiary_name', 'counterpartyName'],
    ['Beneficiary Name', 'counterpartyName'],
    ['BENEFICIARY-NAME', 'counterpartyName'],
    ['Bénéficiary\u00a0name ', 'counterpartyName'],
    ['counterpartyName', 'counterpartyName'],
    ['Payment reference', 'description'],
    ['paymentReference', 'description'],
    ['targetCurrency', 'currency'],
    ['End to end ID', 'endToEndId'],
    ['sourceCurrency', 'sourceCurrency'],
  ])('with %j has the field %s', (name, field) => {
    const rest = ['name', 'iban', 'amount'].filter(
      (each) => field !== 'counterpartyName' || each !== 'name',
    );
    const { places, names } = readHeader([...rest, name], 1);

    expect([...places]).toContainEqual([field, rest.length]);
    expect(names).toMatchObject({ [field]: name.trim() });
  });

  test('ignores other columns, whatever their names', () => {
    const columns = readHeader(
      [
        'receiverType',
        'iban',
        '',
        '__proto__',
        'amount',
        'x'.repeat(50_000),
        'constructor',
        'name',
      ],
      1,
    );

    expect(columns.count).toBe(8);
    expect([...columns.places]).toEqual([
      ['counterpartyIban', 1],
      ['amount', 4],
      ['counterpartyName', 7],
    ]);
  });

  test('without a required column is refused, with the names that would do', () => {
    const problems = problemsOf(['amount', 'reference']);

    expect(problems).toHaveLength(2);
    expect(problems[0]).toMatch(/^MISSING_COLUMN Line 3: .*beneficiary_name, name/);
    expect(problems[1]).toMatch(/^MISSING_COLUMN Line 3: .*iban/);
  });

  test('with two columns for one field is refused, with both names', () => {
    const [problem, ...others] = problemsOf(['Name', 'IBAN', 'Amount', 'reference', 'Description']);

    expect(problem).toMatch(/^DUPLICATE_COLUMN Line 3: .*"reference" and "Description"/);
    expect(others).toEqual([]);
  });
});
