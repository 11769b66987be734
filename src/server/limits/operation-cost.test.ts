import { readFileSync } from 'node:fs';
import {
  buildSchema,
  getIntrospectionQuery,
  getNamedType,
  isCompositeType,
  isInterfaceType,
  isListType,
  isNonNullType,
  isObjectType,
  parse,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import { exampleOperations } from '../../../web/example-operations.js';
import { estimateOf, FIELD_BYTES, FIELD_COSTS, FREE_TYPES, LIST_SIZES } from './operation-cost.js';
import { resolveOperation } from './operation-gate.js';

const schema = buildSchema(
  readFileSync(new URL('../../schema/schema.graphql', import.meta.url), 'utf8'),
);

function cost(text: string, variables: Record<string, unknown> = {}): number {
  const operation = resolveOperation(parse(text), undefined, variables);
  return operation ? estimateOf(schema, operation).cost : Number.NaN;
}

const ROOT_FIELD = /^(?:Query|Mutation|Subscription)\./;

const page = (args: string, inner = 'nodes { id }') =>
  `query ($n: Int = 7) { accounts${args} { ${inner} } }`;

describe('the cost of an operation', () => {
  test.each([
    ['a field of a scalar', '{ __typename }', 1],
    ['an object', '{ account(iban: "x") { iban currency } }', 1],
    ['money, which is part of its object', '{ account(iban: "x") { balance { amount } } }', 1],
    ['objects within an object', '{ transfer(id: "x") { account { id } bulkTransfer { id } } }', 3],
    ['a statement', '{ account(iban: "x") { statement(from: "x", to: "x") { entryCount } } }', 11],
    ['a bulk', 'mutation { performBulkTransfer(input: {}) { __typename } }', 10],
    ['a dry run', '{ validateBulkTransfer(input: {}) { valid } }', 10],
    ['a list that is not a connection', '{ outbox { parkedMessages { id } } }', 110],
    ['a subscription', 'subscription { balanceUpdated(accountIban: "x") { sequence } }', 10],
    ['the same field twice', '{ a: account(iban: "x") { id } account(iban: "x") { id } }', 2],
    [
      'the most expensive member of a union',
      `mutation { performBulkTransfer(input: {}) {
        ... on BulkTransferPerformed { account { id } bulkTransfer { account { id } } }
        ... on IdempotencyKeyReused { bulkTransfer { id } }
        ... on UserError { code } } }`,
      13,
    ],
    [
      'the fields of an interface',
      '{ node(id: "x") { ... on Transfer { account { id } } id } }',
      11,
    ],
  ])('is computed for %s', (_, text, expected) => {
    expect(cost(text)).toBe(expected);
  });

  test.each([
    ['', {}, 21],
    ['(first: 5)', {}, 6],
    ['(last: 5)', {}, 6],
    ['(first: $n)', { n: 50 }, 51],
    ['(first: $n)', {}, 8],
    ['(first: $n)', { n: null }, 21],
    ['(first: null)', {}, 21],
    // The operation is refused when it runs.
    ['(first: 1000000)', {}, 101],
    ['(first: -5)', {}, 2],
    ['(first: $n)', { n: '5' }, 101],
    ['(first: 1, last: 9)', {}, 10],
  ])('of a page%s with %o is %i', (args, variables, expected) => {
    expect(cost(page(args), variables)).toBe(expected);
  });

  test.each([
    ['pageInfo { endCursor }'],
    ['edges { cursor }'],
    ['__typename'],
    ['nodes { id } edges { cursor }'],
  ])('of a page counts its rows, whatever fields are selected: %s', (selected) => {
    expect(cost(page('(first: 5)', selected))).toBe(6);
  });

  test.each([
    ['{ counterpartyIban: "x" }', 0],
    ['{ endToEndId: "x", from: "x", to: "x" }', 0],
    ['{ counterpartyName: "x" }', 100],
    ['{ minAmount: "1", counterpartyIban: "x" }', 100],
    ['{ counterpartyIban: "x", endToEndId: "x" }', 100],
    ['{ maxAmount: null }', 0],
    ['$filter', 100],
    ['$none', 0],
  ])('of a filter %s is %i more', (filter, more) => {
    const query = `query ($filter: TransferFilter, $none: TransferFilter = { maxAmount: null }) {
      account(iban: "x") { transfers(first: 1, filter: ${filter}) { nodes { id } } } }`;
    expect(cost(query, { filter: { minAmount: '1' } })).toBe(3 + more);
  });

  test('of a count is that of the list, however many nodes a page has', () => {
    expect(cost(page('(first: 5)', 'nodes { id } totalCount'))).toBe(6 + 20);
    expect(cost(page('(first: 5)', 'totalCount again: totalCount'))).toBe(6 + 20);
    expect(cost(page('(first: 5)', 'nodes { transfers(first: 10) { totalCount } }'))).toBe(
      1 + 5 * (1 + 1 + 10 + 20),
    );
  });

  test('of edges is that of nodes, and of nested pages the product', () => {
    expect(cost(page('(first: 5)', 'edges { cursor node { id } } pageInfo { endCursor }'))).toBe(6);
    expect(cost(page('(first: 5)', 'nodes { transfers(first: 10) { nodes { id } } }'))).toBe(
      1 + 5 * (1 + 1 + 10),
    );
  });

  test('does not depend on the use of fragments', () => {
    const fragments = `{ accounts(first: 5) { ...C } } fragment C on AccountConnection { nodes { ...A } }
      fragment A on Node { ... on Account { transfers(first: 10) { nodes { id } } } }`;
    expect(cost(fragments)).toBe(1 + 5 * (1 + 1 + 10));
  });

  test('grows with the rows of a bulk once more for each list of warnings', () => {
    const rows = Array.from({ length: 10_000 }, () => ({}));
    const query = (selected: string) =>
      `query ($rows: [CreditTransferInput!]!) {
        validateBulkTransfer(input: { creditTransfers: $rows }) { valid ${selected} } }`;

    expect(cost(query('warnings { code }'), { rows })).toBe(10 + 500 + 100 + 1_000);
    expect(cost(query('warnings { bulkTransfer { id } }'), { rows })).toBe(10 + 500 + 200 + 1_000);
    expect(
      cost(
        `${query('a: warnings { code } ...W')} fragment W on BulkTransferValidation { warnings { code } }`,
        {
          rows,
        },
      ),
    ).toBe(10 + 500 + 2 * (100 + 1_000));
    expect(
      cost(
        `mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) {
          ... on BulkTransferPerformed { warnings { code } } ... on UserError { code } } }`,
        { input: { creditTransfers: rows } },
      ),
    ).toBe(10 + 500 + 100 + 1_000);
  });

  test('grows with the rows of a bulk, wherever they are written', () => {
    const rows = Array.from({ length: 10_000 }, () => ({}));
    const whole =
      'mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) { __typename } }';
    const inPart =
      'query ($rows: [CreditTransferInput!]!) { validateBulkTransfer(input: { creditTransfers: $rows }) { valid } }';
    const literal = `{ validateBulkTransfer(input: { creditTransfers: [${'{}'.repeat(40)}] }) { valid } }`;

    expect(cost(whole, { input: { creditTransfers: rows } })).toBe(10 + 500);
    expect(cost(whole, { input: { creditTransfers: 'rubbish' } })).toBe(10);
    expect(cost(inPart, { rows })).toBe(10 + 500);
    expect(cost(literal)).toBe(10 + 2);
  });

  test('is computed in linear time if fragments double at each level', () => {
    const chain = Array.from(
      { length: 400 },
      (_, index) => `fragment F${index} on Query { ...F${index + 1} ...F${index + 1} }`,
    ).join(' ');

    // With exponential time the test would not end.
    expect(cost(`{ ...F0 } ${chain} fragment F400 on Query { outbox { __typename } }`)).toBe(
      10 * 2 ** 400,
    );
  });

  test('is within the default limit for all examples, introspection and a large page', () => {
    const operations = [
      ...exampleOperations(new Date()),
      { query: getIntrospectionQuery({ inputValueDeprecation: true }), variables: {} },
      {
        query: `{ account(iban: "x") { transfers(first: 100) { nodes {
          account { iban balance { amount } } bulkTransfer { id account { iban } } } } } }`,
        variables: {},
      },
    ];
    for (const { query, variables } of operations) {
      expect(cost(query, variables ?? {})).toBeLessThan(1_000);
    }
  });
});

describe('the estimated length of an answer', () => {
  const bytes = (text: string) => {
    const operation = resolveOperation(parse(text));
    return operation ? estimateOf(schema, operation).answerBytes : Number.NaN;
  };

  test('grows with pages, nested pages and names', () => {
    const one = bytes('{ accounts(first: 1) { nodes { iban } } }');
    expect(bytes('{ accounts(first: 100) { nodes { iban } } }')).toBeGreaterThan(90 * one - 2_000);
    const alias = 'a'.repeat(100);
    expect(bytes(`{ accounts(first: 100) { nodes { ${alias}: iban } } }`)).toBeGreaterThan(10_000);
    expect(
      bytes('{ accounts(first: 100) { nodes { transfers(first: 40) { nodes { id } } } } }'),
    ).toBeGreaterThan(100 * 40 * 36);
  });

  test('counts every problem of a bulk that is refused', () => {
    const query = `mutation { performBulkTransfer(input: {}) {
      ... on InvalidBulkTransfer { problems { message } } } }`;
    expect(bytes(query)).toBeGreaterThan(1_000 * 400);
  });
});

describe('the table of costs', () => {
  const fields = Object.values(schema.getTypeMap()).flatMap((type) =>
    isObjectType(type) || isInterfaceType(type)
      ? Object.values(type.getFields()).map((field) => ({
          place: `${type.name}.${field.name}`,
          type: field.type,
        }))
      : [],
  );

  test('names only existing fields and types', () => {
    const places = [...fields.map(({ place }) => place), 'Query.__schema', 'Query.__type'];
    expect(places).toEqual(
      expect.arrayContaining([...Object.keys(FIELD_COSTS), ...Object.keys(LIST_SIZES)]),
    );
    for (const place of Object.keys(FIELD_BYTES)) expect(places).toContain(place);
    for (const name of FREE_TYPES) expect(schema.getType(name)).toBeDefined();
  });

  test('names every root field', () => {
    const roots = fields.map(({ place }) => place).filter((place) => ROOT_FIELD.test(place));

    expect(roots).toContain('Subscription.balanceUpdated');
    expect(roots.filter((place) => !(place in FIELD_COSTS))).toEqual([]);
  });

  test('has the size of every list', () => {
    const unsized = fields.filter(({ place, type }) => {
      const bare = isNonNullType(type) ? type.ofType : type;
      const named = getNamedType(type);
      if (!isListType(bare) || !isCompositeType(named) || place.startsWith('__')) return false;
      const isPage = /Connection\.(edges|nodes)$/.test(place);
      return !isPage && !(place in LIST_SIZES);
    });
    expect(unsized.map(({ place }) => place)).toEqual([]);
  });
});
