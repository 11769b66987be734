import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { buildSchema, coerceInputValue, type GraphQLInputObjectType } from 'graphql';
import { expect, test } from 'vitest';
import { makeRowsOf } from './bulk-rows.js';

const schema = buildSchema(
  readFileSync(new URL('../schema/schema.graphql', import.meta.url), 'utf8'),
);
const rowType = schema.getType('CreditTransferInput') as GraphQLInputObjectType;
const rowsOf = makeRowsOf(schema);

/** Returns the rows of a right input, if they are taken. */
const rowsIn = (input: object) => rowsOf({ organizationIban: 'FR1', ...input });

const VALID = {
  amount: '1.00',
  counterpartyName: 'Bip Bip',
  counterpartyIban: 'DE89370400440532013000',
  description: '',
};

/** Returns what graphql-js makes of a row; undefined if it refuses the row. */
function coercedByGraphQL(row: unknown): unknown {
  let isRefused = false;
  const coerced = coerceInputValue(row, rowType, () => {
    isRefused = true;
  });
  return isRefused ? undefined : coerced;
}

test('rows of strings are taken, with the default currency', () => {
  expect(rowsIn({ creditTransfers: [VALID, { ...VALID, currency: 'SEK' }] })).toEqual([
    { ...VALID, currency: 'EUR' },
    { ...VALID, currency: 'SEK' },
  ]);
});

test('null is taken for a nullable field alone', () => {
  const row = { ...VALID, counterpartyBic: null, currency: null, endToEndId: null };

  expect(rowsIn({ creditTransfers: [row] })).toEqual([row]);
  expect(rowsIn({ creditTransfers: [{ ...VALID, amount: null }] })).toBeUndefined();
});

test.each([
  ['no rows', {}],
  ['a single row without a list', { creditTransfers: VALID }],
  ['a row that is null', { creditTransfers: [VALID, null] }],
  ['a row that is a list', { creditTransfers: [[VALID]] }],
  ['an unknown field', { creditTransfers: [{ ...VALID, iban: 'x' }] }],
  ['an own field __proto__', { creditTransfers: [JSON.parse('{"__proto__": {"amount": "1"}}')] }],
  ['a missing field', { creditTransfers: [{ ...VALID, description: undefined }] }],
  ['a number', { creditTransfers: [{ ...VALID, amount: 1 }] }],
])('%s is left to graphql-js', (_, input) => {
  expect(rowsIn(input)).toBeUndefined();
});

test.each([
  ['null', null],
  ['a missing field', { creditTransfers: [VALID] }],
  ['an unknown field', { organizationIban: 'FR1', iban: 'x', creditTransfers: [VALID] }],
  ['a number', { organizationIban: 5, creditTransfers: [VALID] }],
])('an input with %s is left to graphql-js, which quotes it', (_, input) => {
  expect(rowsOf(input)).toBeUndefined();
});

test('a row that is taken is the row that graphql-js would make', () => {
  const value = fc.oneof(
    { weight: 12, arbitrary: fc.string() },
    { weight: 1, arbitrary: fc.constantFrom(null, 5, true, {}, [], ['x']) },
  );
  const fields = Object.keys(rowType.getFields());
  const record = Object.fromEntries([...fields, 'other'].map((name) => [name, value]));
  const row = fc.record(record, { requiredKeys: Object.keys(VALID) }).map(({ other, ...known }) => {
    return other === 'other' ? { ...known, other } : known;
  });
  let taken = 0;

  fc.assert(
    fc.property(row, (sent) => {
      const rows = rowsIn({ creditTransfers: [{ ...sent }] });
      if (!rows) return;
      taken += 1;
      expect(rows).toEqual([coercedByGraphQL(sent)]);
    }),
  );

  expect(taken).toBeGreaterThan(10);
});
