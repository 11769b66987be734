/** The operations whose cost is compared with their time: each field of the schema, filters, bulks and large bodies. */
import {
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  getIntrospectionQuery,
  getNamedType,
  isLeafType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { ACCOUNTS, BIC } from '../harness/bulk-requests.ts';

export const [COSTS_IBAN = '', COUNTERPARTY_IBAN = ''] = ACCOUNTS;

/** Each field is selected under this number of aliases, so that they share the base cost of a request. */
const ALIASES = 20;

/** Pages under one operation. A page of 100 costs so much that 20 would exceed the limit. */
const PAGE_ALIASES = 5;

const PAGE_SIZE_MAX = 100;

export interface Operation {
  readonly name: string;
  readonly query: string;
  readonly variables?: () => Readonly<Record<string, unknown>>;
}

/** The value of each argument, by argument name or by type, field and argument name. */
export type ArgumentValues = Readonly<Record<string, string>>;

export const PERFORM_WITH_ID = `mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) {
  __typename ... on BulkTransferPerformed { bulkTransfer { id } } ... on UserError { message } } }`;

const OPEN_ACCOUNT = `mutation ($input: OpenAccountInput!) { openAccount(input: $input) { __typename
  ... on AccountOpened { account { id } } ... on UserError { message } } }`;

const CREDIT_ACCOUNT =
  'mutation ($input: CreditAccountInput!) { creditAccount(input: $input) { __typename } }';

const VALIDATE = `query ($input: PerformBulkTransferInput!) { validateBulkTransfer(input: $input) {
  valid problems { index field code message } error { message } } }`;

const VALIDATE_WITH_WARNINGS = `query ($input: PerformBulkTransferInput!) { validateBulkTransfer(input: $input) {
  valid warnings { index field code message } } }`;

const NAMES = ['Zoë Müller', 'Ørsted A/S', 'Αθηνά Παππά', 'Bip Bip', 'Jean Dupont'];

const INVALID_TRANSFER = {
  amount: '-1',
  counterpartyName: '',
  counterpartyIban: 'x',
  description: 'x',
};

/** Returns the variables of a bulk whose rows differ in amount, name and end-to-end id. @param first number of the first row */
export function variedBulk(count: number, first = 0): { readonly input: object } {
  const creditTransfers = Array.from({ length: count }, (_, index) => ({
    amount: `${1 + ((first + index) % 900)}.00`,
    counterpartyName: `${NAMES[index % NAMES.length]} ${index % 1_000}`,
    counterpartyIban: COUNTERPARTY_IBAN,
    description: `Invoice ${first + index}`,
    endToEndId: `E-${first + index}`,
  }));
  return bulkOf(creditTransfers);
}

const bulkOf = (creditTransfers: readonly object[]) => ({
  input: { organizationIban: COSTS_IBAN, creditTransfers },
});

/** Returns every operation. @param values the values of the arguments of fields */
export function costOperations(schema: GraphQLSchema, values: ArgumentValues): Operation[] {
  return [...fieldOperations(schema, values), ...filterOperations(), ...otherOperations()];
}

/** Repeats a selection under as many aliases as given. */
function aliased(selection: string, count = ALIASES): string {
  return Array.from({ length: count }, (_, index) => `a${index}: ${selection}`).join(' ');
}

const isConnection = (type: unknown) => isObjectType(type) && type.name.endsWith('Connection');

/** Returns the selection of all leaves of an object, including the amounts of money. */
function leavesOf(type: GraphQLObjectType): string {
  return Object.values(type.getFields())
    .flatMap((field) => {
      const named = getNamedType(field.type);
      if (isLeafType(named)) return [field.name];
      return isObjectType(named) && named.name === 'Money' ? [`${field.name} { amount }`] : [];
    })
    .join(' ');
}

interface FieldCall {
  /** The field with its arguments. */
  readonly head: string;
  /** Returns the selection set, inside the nodes of a connection. */
  readonly select: (selected: string) => string;
}

/** @returns undefined if the value of a required argument is unknown */
function fieldCall(
  parent: GraphQLObjectType,
  field: GraphQLField<unknown, unknown>,
  values: ArgumentValues,
  pageSize: number,
): FieldCall | undefined {
  const type = getNamedType(field.type);
  const args: string[] = [];
  for (const { name, type: argumentType } of field.args) {
    const value = values[`${parent.name}.${field.name}.${name}`] ?? values[name];
    if (isNonNullType(argumentType)) {
      if (value === undefined) return undefined;
      args.push(`${name}: ${value}`);
    }
  }
  if (isConnection(type)) args.push(`first: ${pageSize}`);
  return {
    head: `${field.name}${args.length > 0 ? `(${args.join(', ')})` : ''}`,
    select: (selected) => (isConnection(type) ? `{ nodes { ${selected} } }` : `{ ${selected} }`),
  };
}

/** Returns the object type of a field, or of the nodes of its page. */
function targetOf(field: GraphQLField<unknown, unknown>): GraphQLObjectType | undefined {
  const type = getNamedType(field.type);
  if (!isObjectType(type)) return undefined;
  if (!isConnection(type)) return type;
  const nodes = getNamedType(type.getFields().nodes?.type);
  return isObjectType(nodes) ? nodes : undefined;
}

/** A type with the selection that leads to it from the root. */
interface Path {
  readonly type: GraphQLObjectType;
  readonly wrap: (selected: string) => string;
}

/** Returns the operations of each field of an object or a page, at the end of the shortest path to it. */
function fieldOperations(schema: GraphQLSchema, values: ArgumentValues): Operation[] {
  const operations: Operation[] = [];
  const root = schema.getQueryType();
  const visited = new Set<string>();
  const paths: Path[] = root ? [{ type: root, wrap: (selected: string) => `{ ${selected} }` }] : [];
  for (const { type, wrap } of paths) {
    for (const field of Object.values(type.getFields())) {
      const name = `${type.name}.${field.name}`;
      const target = targetOf(field);
      if (!target || target.name === 'Money' || visited.has(name)) continue;
      visited.add(name);
      const smallest = fieldCall(type, field, values, 1);
      const largest = fieldCall(type, field, values, PAGE_SIZE_MAX);
      if (!smallest || !largest) continue;
      const isPage = isConnection(getNamedType(field.type));
      const all = `${largest.head} ${largest.select(leavesOf(target) || '__typename')}`;
      operations.push({ name, query: wrap(aliased(all, isPage ? PAGE_ALIASES : ALIASES)) });
      if (isPage) operations.push(...pageOperations(name, wrap, smallest, largest));
      paths.push({
        type: target,
        wrap: (inner) => wrap(`${smallest.head} ${smallest.select(inner)}`),
      });
    }
  }
  return operations;
}

/** Returns the operations that select no nodes of a page. */
function pageOperations(
  name: string,
  wrap: Path['wrap'],
  smallest: FieldCall,
  largest: FieldCall,
): Operation[] {
  return [
    {
      name: `${name}, pageInfo alone`,
      query: wrap(aliased(`${largest.head} { pageInfo { endCursor } }`)),
    },
    {
      name: `${name}, totalCount`,
      query: wrap(`${smallest.head} { ${aliased('totalCount')} }`),
    },
    {
      name: `${ALIASES} × ${name}, totalCount`,
      query: wrap(aliased(`${smallest.head} { totalCount }`)),
    },
  ];
}

const FILTERS: Readonly<Record<string, string>> = {
  'all names, min amount': '{ counterpartyName: "", minAmount: "1" }',
  'min amount that all have': '{ minAmount: "0" }',
  'min amount that none has': '{ minAmount: "999999999" }',
  'name that many have': '{ counterpartyName: "b" }',
  'name that few have': '{ counterpartyName: "bip bip 3" }',
  'name and amount': '{ counterpartyName: "j", minAmount: "890", maxAmount: "891" }',
  'IBAN that all have': `{ counterpartyIban: "${COUNTERPARTY_IBAN}" }`,
  'IBAN that all have, amount that none has': `{ counterpartyIban: "${COUNTERPARTY_IBAN}", minAmount: "901" }`,
  'end-to-end id': '{ endToEndId: "E-77" }',
  'end-to-end id and IBAN': `{ endToEndId: "E-77", counterpartyIban: "${COUNTERPARTY_IBAN}" }`,
  'all conditions, each of which all meet': `{ counterpartyName: "", minAmount: "1", counterpartyIban: "${COUNTERPARTY_IBAN}", from: "2020-01-01T00:00:00.000Z" }`,
  times: '{ from: "2020-01-01T00:00:00.000Z", to: "2100-01-01T00:00:00.000Z" }',
};

function filterOperations(): Operation[] {
  const ofAccount = (selected: string) => `{ account(iban: "${COSTS_IBAN}") { ${selected} } }`;
  return Object.entries(FILTERS).flatMap(([name, filter]) => [
    {
      name: `filter: ${name}`,
      query: ofAccount(
        aliased(`transfers(first: ${PAGE_SIZE_MAX}, filter: ${filter}) { nodes { id } }`),
      ),
    },
    {
      name: `filter: ${name}, totalCount`,
      query: ofAccount(`transfers(first: 1, filter: ${filter}) { ${aliased('totalCount')} }`),
    },
    {
      name: `${ALIASES} × filter: ${name}, totalCount`,
      query: ofAccount(aliased(`transfers(first: 1, filter: ${filter}) { totalCount }`)),
    },
  ]);
}

function otherOperations(): Operation[] {
  return [
    ...[1, 1_000, 10_000].map((size) =>
      bulkOperation(`performBulkTransfer of ${size}`, PERFORM_WITH_ID, size),
    ),
    ...[1_000, 10_000].map((size) =>
      bulkOperation(`validateBulkTransfer of ${size}`, VALIDATE, size),
    ),
    ...[1, 1_000, 10_000].map((size) =>
      bulkOperation(`validateBulkTransfer of ${size}, with warnings`, VALIDATE_WITH_WARNINGS, size),
    ),
    {
      name: 'validateBulkTransfer of 10000, all wrong',
      query: VALIDATE,
      variables: () => bulkOf(Array.from({ length: 10_000 }, () => INVALID_TRANSFER)),
    },
    {
      name: 'openAccount, refused',
      query: OPEN_ACCOUNT,
      variables: () => ({
        input: { organizationName: 'x', iban: COSTS_IBAN, bic: BIC, currency: 'EUR' },
      }),
    },
    {
      name: 'creditAccount',
      query: CREDIT_ACCOUNT,
      variables: () => ({ input: { iban: COSTS_IBAN, amount: '1', description: 'x' } }),
    },
    {
      name: 'a body of 10 MB that is one string',
      query: '{ __typename }',
      variables: () => ({ a: 'x'.repeat(10_000_000) }),
    },
    {
      name: 'a body of as many values as there may be',
      query: '{ __typename }',
      variables: () => ({
        a: Array.from({ length: 52_000 }, (_, index) => ({ [`k${index}`]: 1 })),
      }),
    },
    { name: 'introspection', query: getIntrospectionQuery() },
  ];
}

function bulkOperation(name: string, query: string, size: number): Operation {
  return { name, query, variables: () => variedBulk(size) };
}
