/**
 * Measures how long a unit of cost takes. The bench selects each field of the schema with the largest pages, on an
 * account with many transfers, and divides the milliseconds by the cost that the server reports. The most
 * expensive operations come first, each with the time for which it held the server's event loop.
 *
 *   npm run bench:costs [-- --database sqlite|mariadb] [--transfers 100000] [--rounds 5]
 *     [--only totalCount]
 *
 * docs/limits.md has its table. It exits with 1 where a field takes longer than the bound that stands there.
 */
import { parseArgs } from 'node:util';
import {
  buildClientSchema,
  type GraphQLField,
  type GraphQLObjectType,
  getIntrospectionQuery,
  getNamedType,
  type IntrospectionQuery,
  isLeafType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { cleanUp } from './harness/cleanup.ts';
import { createMariaDb, createSqliteFile } from './harness/databases.ts';
import { ServerProcess } from './harness/server-process.ts';
import { percentile } from './harness/statistics.ts';
import { runCommand } from './subjects/virement/server.ts';

/** Milliseconds that a unit of cost may take, on the machine that docs/limits.md names. */
const MS_PER_UNIT_MAX = 1;

/** Milliseconds for which one operation may hold the event loop. */
const HELD_MS_MAX = 100;

const WARM_UP_ROUNDS = 2;
const BULK_TRANSFERS = 10_000;

/** So that what every request takes is shared by many fields. */
const ALIASES = 20;

const IBAN = 'DE75512108001245126199';
const OTHER_IBAN = 'NL02ABNA0123456789';
const BIC = 'DEUTDEFF';

const { values } = parseArgs({
  options: {
    database: { type: 'string', default: 'sqlite' },
    transfers: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
    /** Part of the names of the operations to measure; all where it is empty. */
    only: { type: 'string', default: '' },
  },
});
const transferCount = Number(values.transfers);
const rounds = Number(values.rounds);

interface Answer {
  readonly data?: Readonly<Record<string, unknown>>;
  readonly errors?: readonly { readonly message: string; readonly extensions: { code: string } }[];
  readonly extensions?: { readonly cost?: { readonly requested: number } };
}

interface Case {
  readonly name: string;
  readonly query: string;
  readonly variables?: (round: number) => Readonly<Record<string, unknown>>;
}

interface Measured {
  readonly name: string;
  readonly cost: number;
  readonly ms: number;
  readonly msPerUnit: number;
  readonly heldMs: number;
}

const database =
  values.database === 'mariadb' ? await createMariaDb('costs') : await createSqliteFile();
if (values.database === 'mariadb') await runCommand('migrate', database.url);
const server = await ServerProcess.start('../dist/main.js', {
  env: {
    DATABASE_URL: database.url,
    NODE_ENV: 'development',
    SEED_DEMO: 'false',
    OPERATION_COST_MAX: '100000',
    RATE_LIMIT_BURST: '100000',
  },
});

async function send(query: string, variables: object = {}): Promise<Answer> {
  const response = await fetch(`${server.origin}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  });
  return (await response.json()) as Answer;
}

/** The longest turn of the server's event loop since this was asked last. */
async function longestTurnMs(): Promise<number> {
  const metrics = await (await fetch(`${server.origin}/metrics`)).text();
  return Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(metrics)?.[1]) * 1_000;
}

const OPEN = `mutation ($input: OpenAccountInput!) { openAccount(input: $input) { __typename
  ... on AccountOpened { account { id } } ... on UserError { message } } }`;
const PERFORM = `mutation ($input: PerformBulkTransferInput!) { performBulkTransfer(input: $input) {
  __typename ... on BulkTransferPerformed { bulkTransfer { id } } ... on UserError { message } } }`;
const VALIDATE = `query ($input: PerformBulkTransferInput!) { validateBulkTransfer(input: $input) {
  valid problems { index field code message } error { message } } }`;

const WARN = `query ($input: PerformBulkTransferInput!) { validateBulkTransfer(input: $input) {
  valid warnings { index field code message } } }`;

const NAMES = ['Zoë Müller', 'Ørsted A/S', 'Αθηνά Παππά', 'Bip Bip', 'Jean Dupont'];

function rowsOf(count: number, first = 0) {
  return Array.from({ length: count }, (_, index) => ({
    amount: `${1 + ((first + index) % 900)}.00`,
    counterpartyName: `${NAMES[index % NAMES.length]} ${index % 1_000}`,
    counterpartyIban: OTHER_IBAN,
    description: `Invoice ${first + index}`,
    endToEndId: `E-${first + index}`,
  }));
}

const bulkOf = (creditTransfers: readonly object[]) => ({
  input: { organizationIban: IBAN, creditTransfers },
});

async function fill(): Promise<void> {
  for (const iban of [IBAN, OTHER_IBAN]) {
    const input = { organizationName: 'Bench', iban, bic: BIC, openingBalance: '999999999' };
    await send(OPEN, { input });
  }
  for (let first = 0; first < transferCount; first += BULK_TRANSFERS) {
    const count = Math.min(BULK_TRANSFERS, transferCount - first);
    const { errors } = await send(PERFORM, bulkOf(rowsOf(count, first)));
    if (errors) throw new Error(JSON.stringify(errors));
  }
  // Many entries, for statements.
  for (let bulk = 0; bulk < 300; bulk += 1) await send(PERFORM, bulkOf(rowsOf(1, bulk)));
}

const schema = buildClientSchema(
  (await send(getIntrospectionQuery())).data as unknown as IntrospectionQuery,
);

/** Returns the value that the bench gives to each argument. */
async function knownValues(): Promise<Readonly<Record<string, string>>> {
  const { data } = await send(`{ account(iban: "${IBAN}") {
    transfers(first: 1) { nodes { id bulkTransfer { id } } } } }`);
  const account = data?.account as {
    transfers: { nodes: [{ id: string; bulkTransfer: { id: string } }] };
  };
  const [{ id, bulkTransfer }] = account.transfers.nodes;
  return {
    iban: `"${IBAN}"`,
    accountIban: `"${IBAN}"`,
    idempotencyKey: '"none"',
    from: '"2020-01-01"',
    to: '"2100-01-01"',
    'Query.bulkTransfer.id': `"${bulkTransfer.id}"`,
    id: `"${id}"`,
  };
}

const isConnection = (type: unknown) => isObjectType(type) && type.name.endsWith('Connection');

/** The leaves of an object, and of what comes with it. */
function leavesOf(type: GraphQLObjectType): string {
  return Object.values(type.getFields())
    .flatMap((field) => {
      const named = getNamedType(field.type);
      if (isLeafType(named)) return [field.name];
      return isObjectType(named) && named.name === 'Money' ? [`${field.name} { amount }`] : [];
    })
    .join(' ');
}

/** A field with all its leaves, its page as large as can be. @returns undefined for an argument unknown here */
function asked(
  parent: GraphQLObjectType,
  field: GraphQLField<unknown, unknown>,
  known: Readonly<Record<string, string>>,
  size: number,
): { readonly head: string; readonly inner: (selected: string) => string } | undefined {
  const type = getNamedType(field.type);
  const given: string[] = [];
  for (const { name, type: argumentType } of field.args) {
    const value = known[`${parent.name}.${field.name}.${name}`] ?? known[name];
    if (isNonNullType(argumentType)) {
      if (value === undefined) return undefined;
      given.push(`${name}: ${value}`);
    }
  }
  if (isConnection(type)) given.push(`first: ${size}`);
  const head = `${field.name}${given.length > 0 ? `(${given.join(', ')})` : ''}`;
  return {
    head,
    inner: (selected) => (isConnection(type) ? `{ nodes { ${selected} } }` : `{ ${selected} }`),
  };
}

/** The type that a field leads to: that of a page's nodes. */
function targetOf(field: GraphQLField<unknown, unknown>): GraphQLObjectType | undefined {
  const type = getNamedType(field.type);
  if (!isObjectType(type)) return undefined;
  if (!isConnection(type)) return type;
  const nodes = getNamedType(type.getFields().nodes?.type);
  return isObjectType(nodes) ? nodes : undefined;
}

/** One case for each field with an object or a page behind it, at the end of the shortest way to it. */
function fieldCases(known: Readonly<Record<string, string>>): Case[] {
  const cases: Case[] = [];
  const root = schema.getQueryType();
  const reached = new Set<string>();
  const ways = root ? [{ type: root, wrap: (selected: string) => `{ ${selected} }` }] : [];
  for (const { type, wrap } of ways) {
    for (const field of Object.values(type.getFields())) {
      const place = `${type.name}.${field.name}`;
      const target = targetOf(field);
      if (!target || target.name === 'Money' || reached.has(place)) continue;
      reached.add(place);
      const one = asked(type, field, known, 1);
      const whole = asked(type, field, known, 100);
      if (!one || !whole) continue;
      const leaves = leavesOf(target) || '__typename';
      const selected = Array.from(
        { length: isConnection(getNamedType(field.type)) ? 5 : ALIASES },
        (_, index) => `a${index}: ${whole.head} ${whole.inner(leaves)}`,
      ).join(' ');
      cases.push({ name: place, query: wrap(selected) });
      if (isConnection(getNamedType(field.type))) {
        const bare = Array.from(
          { length: ALIASES },
          (_, index) => `a${index}: ${whole.head} { pageInfo { endCursor } }`,
        ).join(' ');
        cases.push({ name: `${place}, pageInfo alone`, query: wrap(bare) });
        const counts = Array.from({ length: ALIASES }, (_, index) => `a${index}: totalCount`);
        cases.push({
          name: `${place}, totalCount`,
          query: wrap(`${one.head} { ${counts.join(' ')} }`),
        });
        const counted = Array.from(
          { length: ALIASES },
          (_, index) => `a${index}: ${one.head} { totalCount }`,
        ).join(' ');
        cases.push({ name: `${ALIASES} × ${place}, totalCount`, query: wrap(counted) });
      }
      ways.push({
        type: target,
        wrap: (inner) => wrap(`${one.head} ${one.inner(inner)}`),
      });
    }
  }
  return cases;
}

const FILTERS: Readonly<Record<string, string>> = {
  'all names, min amount': '{ counterpartyName: "", minAmount: "1" }',
  'min amount that all have': '{ minAmount: "0" }',
  'min amount that none has': '{ minAmount: "999999999" }',
  'name that many have': '{ counterpartyName: "b" }',
  'name that few have': '{ counterpartyName: "bip bip 3" }',
  'name and amount': '{ counterpartyName: "j", minAmount: "890", maxAmount: "891" }',
  'IBAN that all have': `{ counterpartyIban: "${OTHER_IBAN}" }`,
  'IBAN that all have, amount that none has': `{ counterpartyIban: "${OTHER_IBAN}", minAmount: "901" }`,
  'end-to-end id': '{ endToEndId: "E-77" }',
  'end-to-end id and IBAN': `{ endToEndId: "E-77", counterpartyIban: "${OTHER_IBAN}" }`,
  'all conditions, each of which all meet': `{ counterpartyName: "", minAmount: "1", counterpartyIban: "${OTHER_IBAN}", from: "2020-01-01T00:00:00.000Z" }`,
  times: '{ from: "2020-01-01T00:00:00.000Z", to: "2100-01-01T00:00:00.000Z" }',
};

function filterCases(): Case[] {
  const repeated = (selected: string) =>
    Array.from({ length: ALIASES }, (_, index) => `a${index}: ${selected}`).join(' ');
  return Object.entries(FILTERS).flatMap(([name, filter]) => [
    {
      name: `filter: ${name}`,
      query: `{ account(iban: "${IBAN}") { ${repeated(
        `transfers(first: 100, filter: ${filter}) { nodes { id } }`,
      )} } }`,
    },
    {
      name: `filter: ${name}, totalCount`,
      query: `{ account(iban: "${IBAN}") { transfers(first: 1, filter: ${filter}) { ${repeated('totalCount')} } } }`,
    },
    {
      name: `${ALIASES} × filter: ${name}, totalCount`,
      query: `{ account(iban: "${IBAN}") { ${repeated(
        `transfers(first: 1, filter: ${filter}) { totalCount }`,
      )} } }`,
    },
  ]);
}

function otherCases(): Case[] {
  const wrong = { amount: '-1', counterpartyName: '', counterpartyIban: 'x', description: 'x' };
  return [
    ...[1, 1_000, 10_000].map((count) => ({
      name: `performBulkTransfer of ${count}`,
      query: PERFORM,
      variables: () => bulkOf(rowsOf(count)),
    })),
    ...[1_000, 10_000].map((count) => ({
      name: `validateBulkTransfer of ${count}`,
      query: VALIDATE,
      variables: () => bulkOf(rowsOf(count)),
    })),
    ...[1, 1_000, 10_000].map((count) => ({
      name: `validateBulkTransfer of ${count}, with warnings`,
      query: WARN,
      variables: () => bulkOf(rowsOf(count)),
    })),
    {
      name: 'validateBulkTransfer of 10000, all wrong',
      query: VALIDATE,
      variables: () => bulkOf(Array.from({ length: 10_000 }, () => wrong)),
    },
    {
      name: 'openAccount, refused',
      query: OPEN,
      variables: () => ({
        input: { organizationName: 'x', iban: IBAN, bic: BIC, currency: 'EUR' },
      }),
    },
    {
      name: 'creditAccount',
      query: `mutation ($input: CreditAccountInput!) { creditAccount(input: $input) { __typename } }`,
      variables: () => ({ input: { iban: IBAN, amount: '1', description: 'x' } }),
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

async function measure({ name, query, variables }: Case): Promise<Measured | undefined> {
  const durations: number[] = [];
  let cost = 0;
  let heldMs = 0;
  for (let round = 0; round < WARM_UP_ROUNDS + rounds; round += 1) {
    if (round === WARM_UP_ROUNDS) await longestTurnMs();
    const body = variables?.(round) ?? {};
    const start = performance.now();
    const answer = await send(query, body);
    const ms = performance.now() - start;
    cost = answer.extensions?.cost?.requested ?? 0;
    if (cost === 0) {
      console.log(`${name}: ${answer.errors?.[0]?.message ?? 'no cost'}`);
      return undefined;
    }
    if (round >= WARM_UP_ROUNDS) durations.push(ms);
  }
  heldMs = await longestTurnMs();
  const ms = percentile(durations, 0.5);
  return { name, cost, ms, msPerUnit: ms / cost, heldMs };
}

try {
  await fill();
  const known = await knownValues();
  const measured: Measured[] = [];
  for (const each of [...fieldCases(known), ...filterCases(), ...otherCases()]) {
    if (!each.name.includes(values.only)) continue;
    const one = await measure(each);
    if (one) measured.push(one);
  }
  measured.sort((one, other) => other.msPerUnit - one.msPerUnit);
  console.log(`\n${values.database}, an account with ${transferCount} transfers\n`);
  console.log('| operation | cost | ms | ms a unit | event loop held, ms |');
  console.log('|---|---|---|---|---|');
  for (const { name, cost, ms, msPerUnit, heldMs } of measured) {
    const figures = [cost, ms.toFixed(1), msPerUnit.toFixed(3), heldMs.toFixed(0)];
    console.log(`| ${[name, ...figures].join(' | ')} |`);
  }
  const over = measured.filter(
    ({ msPerUnit, heldMs }) => msPerUnit > MS_PER_UNIT_MAX || heldMs > HELD_MS_MAX,
  );
  for (const { name } of over) console.log(`over a bound: ${name}`);
  process.exitCode = over.length > 0 ? 1 : 0;
} finally {
  await server.stop();
  await runCommand('verify', database.url);
  await cleanUp();
}
