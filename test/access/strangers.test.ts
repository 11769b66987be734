/**
 * Proves that an object of another company is indistinguishable from a missing one. The tests walk the schema field by
 * field. Every root field is requested for an object of another company and for a missing one, and both answers must be
 * equal. All data that a company can read is searched for data of another company. A new field that the tests do not
 * reach makes them fail.
 */
import {
  buildSchema,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isAbstractType,
  isLeafType,
  isObjectType,
  isRequiredArgument,
} from 'graphql';
import { expect, test } from 'vitest';
import type { OrganizationScope } from '../../src/domain/caller.js';
import { positionId } from '../../src/domain/position-id.js';
import { firstPositionOf } from '../../src/domain/postings.js';
import { MikroOrmScopedLedgerReader } from '../../src/infrastructure/ledger/scoped-ledger-reader.js';
import { ACME, aBulk, aTransfer, GLOBEX, INITECH, ibanOf } from '../support/builders.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { anOrder } from '../support/orders.js';
import {
  BACKGROUND_STATEMENT,
  NO_CATCHING_UP,
  startServer,
  untilQuiet,
} from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const SECRET = 'a salary';
const KEY = 'november-payroll';
const DEPTH_MAX = 6;

const ONE_ROW = 'name,iban,amount\nJane Doe,DE89370400440532013000,1.00\n';

/** Root fields for the bank only: their answer to others is FORBIDDEN, whatever the arguments are. */
const OPERATORS_ONLY = [
  'outbox',
  'auditLog',
  'apiKeys',
  'openAccount',
  'creditAccount',
  'createApiKey',
  'revokeApiKey',
  'retryOutboxMessage',
  'deadLetters',
  'replayDeadLetters',
  'discardDeadLetters',
];

/** Types that only these root fields lead to. */
const OPERATORS_TYPES = [
  'Outbox',
  'OutboxMessage',
  'AuditEntry',
  'AuditEntryConnection',
  'AuditEntryEdge',
  'DeadLetterConnection',
  'DeadLetterEdge',
  'DeadLettersResult',
  'ApiKey',
  'ApiKeyConnection',
  'ApiKeyEdge',
  'ApiKeyCreated',
  'AccountOpened',
  'AccountExists',
  'AccountCredited',
  'InvalidInput',
];

/** Names of ACME's objects, or of missing ones. */
interface Names {
  readonly iban: string;
  readonly accountId: string;
  readonly bulkId: string;
  readonly transferId: string;
  readonly entryId: string;
  readonly incomingId: string;
  readonly organizationId: string;
  readonly webhookId: string;
  readonly deliveryId: string;
  readonly orderId: string;
  readonly cursor: string;
  readonly incomingCursor: string;
}

const text = (value: string) => JSON.stringify(value);

/** The arguments with which each root field names an object. */
const PROBES: Readonly<Record<string, (names: Names) => readonly string[]>> = {
  account: ({ iban }) => [`iban: ${text(iban)}`],
  accounts: () => ['first: 100'],
  bulkTransfer: ({ bulkId, accountId }) => [`id: ${text(bulkId)}`, `id: ${text(accountId)}`],
  bulkTransferByIdempotencyKey: ({ iban }) => [
    `accountIban: ${text(iban)}, idempotencyKey: ${text(KEY)}`,
  ],
  transfer: ({ transferId }) => [`id: ${text(transferId)}`],
  me: () => [''],
  node: ({ iban: _iban, cursor: _cursor, incomingCursor: _incomingCursor, ...ids }) =>
    Object.values(ids).map((id) => `id: ${text(id)}`),
  webhook: ({ webhookId }) => [`id: ${text(webhookId)}`],
  webhooks: () => ['first: 100'],
  registerWebhook: ({ iban, organizationId }) => [
    `input: { url: ${text(HOOK)}, events: [ACCOUNT_CREDITED], accountIbans: [${text(iban)}] }`,
    `input: { url: ${text(HOOK)}, events: [ACCOUNT_CREDITED], organizationId: ${text(organizationId)} }`,
  ],
  updateWebhook: ({ webhookId, iban }) => [
    `input: { id: ${text(webhookId)}, accountIbans: [${text(iban)}] }`,
  ],
  rotateWebhookSecret: ({ webhookId }) => [`id: ${text(webhookId)}`],
  enableWebhook: ({ webhookId }) => [`id: ${text(webhookId)}`],
  disableWebhook: ({ webhookId }) => [`id: ${text(webhookId)}`],
  deleteWebhook: ({ webhookId }) => [`id: ${text(webhookId)}`],
  sendTestEvent: ({ webhookId }) => [`webhookId: ${text(webhookId)}`],
  redeliver: ({ deliveryId }) => [`deliveryId: ${text(deliveryId)}`],
  redeliverSince: ({ webhookId }) => [
    `webhookId: ${text(webhookId)}, since: "2026-01-01T00:00:00.000Z"`,
  ],
  order: ({ orderId }) => [`id: ${text(orderId)}`],
  orders: ({ iban }) => ['first: 100', `filter: { accountIban: ${text(iban)} }`],
  createOrder: ({ iban }) => [`input: { organizationIban: ${text(iban)} }`],
  addOrderRows: ({ orderId }) => [`orderId: ${text(orderId)}, chunk: 0, rows: [${ROW}]`],
  replaceOrderRow: ({ orderId }) => [`orderId: ${text(orderId)}, row: 0, with: ${ROW}`],
  removeOrderRows: ({ orderId }) => [`orderId: ${text(orderId)}, rows: [0]`],
  submitOrder: ({ orderId }) => [`id: ${text(orderId)}`],
  cancelOrder: ({ orderId }) => [`id: ${text(orderId)}`],
  duplicateOrder: ({ orderId }) => [`id: ${text(orderId)}`],
  importOrder: ({ iban }) => [
    `input: { organizationIban: ${text(iban)}, format: CSV, content: ${text(ONE_ROW)} }`,
  ],
  createExport: ({ iban, bulkId, orderId }) => [
    `input: { accountIban: ${text(iban)}, kind: STATEMENT_CSV, from: "2026-01-01", to: "2099-12-31" }`,
    `input: { bulkTransferId: ${text(bulkId)}, kind: TRANSFERS_CSV }`,
    `input: { orderId: ${text(orderId)}, kind: RECEIPT_HTML }`,
  ],
  orderProgress: ({ orderId }) => [`id: ${text(orderId)}`],
  validateBulkTransfer: ({ iban }) => [
    `input: { organizationIban: ${text(iban)}, idempotencyKey: ${text(KEY)}, creditTransfers: [${ROW}] }`,
    `input: { organizationIban: ${text(iban)}, organizationName: "Wrong", organizationBic: "WRONGFRP", creditTransfers: [] }`,
  ],
  performBulkTransfer: ({ iban }) => [
    `input: { organizationIban: ${text(iban)}, idempotencyKey: ${text(KEY)}, creditTransfers: [${ROW}] }`,
    `input: { organizationIban: ${text(iban)}, creditTransfers: [${ROW}] }`,
    `input: { organizationIban: ${text(iban)}, organizationName: "Wrong", creditTransfers: [] }`,
  ],
  transferPerformed: ({ iban, cursor }) => [
    `accountIban: ${text(iban)}`,
    `accountIban: ${text(iban)}, after: ${text(cursor)}`,
  ],
  transferReceived: ({ iban, incomingCursor }) => [
    `accountIban: ${text(iban)}`,
    `accountIban: ${text(iban)}, after: ${text(incomingCursor)}`,
  ],
  bulkTransferPerformed: ({ iban }) => [`accountIban: ${text(iban)}`],
  balanceUpdated: ({ iban }) => [`accountIban: ${text(iban)}`],
};

/** A URL whose name is never resolved (RFC 2606). */
const HOOK = 'https://receiver.invalid/';

const ROW =
  '{ amount: "1", counterpartyName: "X", counterpartyIban: "DE89370400440532013000", description: "" }';

/** Required arguments of fields below the root. */
const ARGUMENTS: Readonly<Record<string, string>> = {
  'Account.statement': 'from: "2020-01-01", to: "2099-12-31"',
};

/** Selects all fields of a type, as deep as the schema goes without a cycle, and records the reached fields. */
class Selections {
  readonly reached = new Set<string>();

  constructor(private readonly schema: GraphQLSchema) {}

  of(type: GraphQLNamedType, path: readonly string[] = []): string {
    if (isLeafType(type)) return '';
    if (isAbstractType(type)) {
      const members = this.schema.getPossibleTypes(type);
      return `{ __typename ${members.map((member) => `... on ${member.name} ${this.of(member, path)}`).join(' ')} }`;
    }
    if (!isObjectType(type)) throw new Error(`${type.name} can't be selected`);
    const fields = Object.values(type.getFields()).map((field) =>
      this.#field(type.name, field, [...path, type.name]),
    );
    return `{ __typename ${fields.join(' ')} }`;
  }

  #field(owner: string, field: GraphQLField<unknown, unknown>, path: readonly string[]): string {
    const name = `${owner}.${field.name}`;
    const type = getNamedType(field.type);
    const goesRound = path.filter((step) => step === type.name).length > 0;
    if (!isLeafType(type) && path.length >= DEPTH_MAX) return '';
    this.reached.add(name);
    const given = ARGUMENTS[name];
    if (field.args.some(isRequiredArgument) && given === undefined) {
      throw new Error(`${name} has an argument that is not known here`);
    }
    const args = given === undefined ? '' : `(${given})`;
    // Fields of one name in several members of a union may differ in whether they can be null.
    return `${owner}_${field.name}: ${field.name}${args} ${goesRound ? leavesOf(type) : this.of(type, path)}`;
  }
}

/** The limits that a query for all fields needs, and that no client has. */
const WIDE = {
  OPERATION_TOKENS_MAX: '1000000',
  OPERATION_DEPTH_MAX: '100',
  OPERATION_ALIASES_MAX: '10000',
  OPERATION_COST_MAX: '1000000000',
  ANSWER_BYTES_MAX: '268435456',
  RATE_LIMIT_BURST: '1000000000',
};

/** Returns the selection for a type that is already on the path. */
function leavesOf(type: GraphQLNamedType): string {
  if (isLeafType(type)) return '';
  if (!isObjectType(type)) return '{ __typename }';
  const leaves = Object.values(type.getFields()).filter(({ type }) =>
    isLeafType(getNamedType(type)),
  );
  return `{ __typename ${leaves.map((field) => `${type.name}_${field.name}: ${field.name}`).join(' ')} }`;
}

async function startWorld() {
  const provider = await startIdentityProvider();
  const { client, url, database } = await startServer({ ...provider.env, ...WIDE });
  const statements: string[] = [];
  const connection = database.orm.em.getConnection();
  const execute = connection.execute.bind(connection);
  connection.execute = (statement: string, ...rest: never[]) => {
    statements.push(String(statement));
    return execute(statement, ...rest);
  };
  const operator = client.as(await provider.token({ roles: ['operator'] }));
  const organizationOf = async (iban: string) =>
    (await operator.data(`{ account(iban: "${iban}") { organizationId } }`)).account.organizationId;
  const acme = await organizationOf(ACME);
  const owner = client.as(await provider.token({ org: acme, roles: ['initiator'] }));
  const token = await provider.token({
    org: await organizationOf(GLOBEX),
    roles: ['viewer', 'initiator'],
  });
  await owner.perform(
    aBulk(
      [
        aTransfer({ description: SECRET, counterpartyName: SECRET, counterpartyIban: ibanOf(1) }),
        aTransfer({ description: 'Invoice', counterpartyIban: GLOBEX }),
      ],
      { idempotencyKey: KEY },
    ),
  );
  const payer = client.as(
    await provider.token({ org: await organizationOf(INITECH), roles: ['initiator'] }),
  );
  await payer.perform({
    organizationIban: INITECH,
    creditTransfers: [aTransfer({ description: SECRET, counterpartyIban: ACME })],
  });
  const { registerWebhook } = await owner.data(`mutation { registerWebhook(input: {
    url: "${HOOK}", description: "${SECRET}", events: [ACCOUNT_CREDITED] }) {
    ... on WebhookRegistered { webhook { id } } } }`);
  const webhookId = registerWebhook.webhook.id;
  await owner.data(`mutation { sendTestEvent(webhookId: "${webhookId}") { __typename } }`);
  const { webhook } = await owner.data(
    `{ webhook(id: "${webhookId}") { deliveries { nodes { id } } } }`,
  );
  const order = await anOrder(owner, [aTransfer({ description: SECRET })], { name: SECRET });
  const { account } = await owner.data(`{ account(iban: "${ACME}") { id
    bulkTransfers { nodes { id } } transfers { edges { cursor node { id } } }
    incomingTransfers { edges { cursor node { id } } } entries(last: 1) { nodes { id } } } }`);
  const theirs: Names = {
    iban: ACME,
    accountId: account.id,
    bulkId: account.bulkTransfers.nodes[0].id,
    transferId: account.transfers.edges[0].node.id,
    entryId: account.entries.nodes[0].id,
    incomingId: account.incomingTransfers.edges[0].node.id,
    organizationId: acme,
    webhookId,
    deliveryId: webhook.deliveries.nodes[0].id,
    orderId: order.id,
    cursor: account.transfers.edges[0].cursor,
    incomingCursor: account.incomingTransfers.edges[0].cursor,
  };
  const nobody = '01a2078e-0000-7000-8000-000000000000';
  const nowhere = { accountId: nobody, position: firstPositionOf(1n), createdAt: new Date(0) };
  const absent: Names = {
    iban: 'FR10474608000002006199XXXXX',
    accountId: nobody,
    bulkId: positionId('bulk-transfer', nowhere),
    transferId: positionId('transfer', nowhere),
    entryId: nobody,
    incomingId: positionId('incoming-transfer', nowhere),
    organizationId: nobody,
    webhookId: nobody,
    deliveryId: nobody,
    orderId: nobody,
    cursor: theirs.cursor,
    incomingCursor: theirs.incomingCursor,
  };
  const secrets = [ACME, acme, SECRET, KEY, ibanOf(1), ...Object.values(theirs)];
  await untilQuiet({ database });
  const sdl = await (await fetch(`${url}/schema.graphql`)).text();
  return {
    url,
    statements,
    stranger: client.as(token),
    token,
    operator,
    theirs,
    absent,
    secrets,
    schema: buildSchema(sdl),
  };
}

/** Returns an answer in which the requested names are replaced by a constant. */
function answerTo(answer: unknown, names: Names): string {
  return Object.values(names).reduce(
    (told, name) => told.replaceAll(name, 'NAMED'),
    JSON.stringify(answer),
  );
}

const rootFieldsOf = (schema: GraphQLSchema) =>
  [schema.getQueryType(), schema.getMutationType()].flatMap((type) =>
    Object.values(type?.getFields() ?? {}),
  );

test('an object of another company is answered like a missing one, in every root field', async () => {
  const { stranger, theirs, absent, secrets, schema } = await startWorld();
  const selections = new Selections(schema);
  const mutations = schema.getMutationType()?.getFields() ?? {};

  for (const field of rootFieldsOf(schema)) {
    if (OPERATORS_ONLY.includes(field.name)) continue;
    const probe = PROBES[field.name];
    if (!probe) throw new Error(`${field.name} is a new root field: say how it is asked`);
    const operation = field.name in mutations ? 'mutation' : 'query';
    const selection = selections.of(getNamedType(field.type));
    const ask = async (names: Names) => {
      const answers = [];
      for (const args of probe(names)) {
        const given = args === '' ? '' : `(${args})`;
        const { data, errors } = await stranger.send(
          `${operation} { ${field.name}${given} ${selection} }`,
        );
        answers.push({ data, errors });
      }
      return answerTo(answers, names);
    };
    const ofTheirs = await ask(theirs);
    expect([field.name, ofTheirs]).toEqual([field.name, await ask(absent)]);
    for (const secret of secrets) expect([field.name, ofTheirs]).not.toContain(secret);
    expect(ofTheirs).not.toMatch(/INTERNAL_SERVER_ERROR|An operation (has|may)/);
  }
});

test('the data that a company can read contains nothing of another company', async () => {
  const { stranger, secrets, schema } = await startWorld();
  const selections = new Selections(schema);
  const accounts = schema.getQueryType()?.getFields().accounts;
  if (!accounts) throw new Error('There is no query accounts');

  const answer = await stranger.data(`{ accounts ${selections.of(getNamedType(accounts.type))} }`);

  // The company received money. It sees the payer's name, the IBAN and the texts of the transfer.
  const payerIban = `"IncomingTransfer_payerIban":"${ACME}"`;
  const told = JSON.stringify(answer);
  expect(told).toContain('"LedgerEntry_description":"Invoice"');
  expect(told).toContain(payerIban);
  const seen = told.replaceAll(payerIban, '');
  for (const secret of secrets) expect(seen).not.toContain(secret);
});

test('a subscription to an account of another company is refused like one to a missing account', async () => {
  const { url, token, theirs, absent, schema } = await startWorld();
  const fields = Object.values(schema.getSubscriptionType()?.getFields() ?? {});
  const selections = new Selections(schema);

  for (const field of fields) {
    const probe = PROBES[field.name];
    if (!probe) throw new Error(`${field.name} is a new subscription: say how it is asked`);
    for (const [number, args] of probe(theirs).entries()) {
      const selection = selections.of(getNamedType(field.type));
      const ask = async (given: string | undefined, names: Names) => {
        const query = `subscription { ${field.name}(${given}) ${selection} }`;
        const { errors, events } = subscribe(url, query, {}, token);
        await expect.poll(() => errors.length).toBe(1);
        expect(events).toEqual([]);
        return answerTo(errors, names);
      };
      expect(await ask(args, theirs)).toBe(await ask(probe(absent)[number], absent));
    }
  }
});

test('a subscription to all accounts sends a company only its own', async () => {
  const { url, token, stranger, operator, secrets, schema } = await startWorld();
  const type = schema.getSubscriptionType()?.getFields().balanceUpdated?.type;
  if (!type) throw new Error('There is no subscription balanceUpdated');
  const query = `subscription { balanceUpdated ${new Selections(schema).of(getNamedType(type))} }`;
  const { errors, events } = subscribe(url, query, {}, token);
  await expect.poll(() => events.length).toBe(1);

  for (const iban of [ACME, GLOBEX]) {
    await operator.data(
      `mutation { creditAccount(input: { iban: "${iban}", amount: "1", description: "" }) { __typename } }`,
    );
  }

  await expect.poll(() => events.length).toBe(2);
  expect(errors).toEqual([]);
  // The company sees the payer's name, the IBAN and the texts of the transfer.
  const seen = JSON.stringify(events).replaceAll(`"IncomingTransfer_payerIban":"${ACME}"`, '');
  for (const secret of secrets) expect(seen).not.toContain(secret);
  expect((await stranger.data('{ accounts { totalCount } }')).accounts.totalCount).toBe(1);
});

test('a root field that only the bank may use is forbidden to companies, whatever its arguments', async () => {
  const { stranger, schema } = await startWorld();
  const mutations = schema.getMutationType()?.getFields() ?? {};
  const input: Readonly<Record<string, string>> = {
    openAccount: `(input: { organizationName: "X", iban: "${ACME}", bic: "OIVUSCLQXXX" }) { __typename }`,
    creditAccount: `(input: { iban: "${ACME}", amount: "1", description: "" }) { __typename }`,
    createApiKey: '(input: { name: "X", organizationIds: [], roles: [OPERATOR] }) { __typename }',
    revokeApiKey: '(prefix: "0123456789ab") { prefix }',
    retryOutboxMessage: '(id: "x")',
    replayDeadLetters: '(ids: []) { count }',
    discardDeadLetters: '(ids: [], reason: "") { count }',
    deadLetters: '{ nodes { id } }',
    outbox: '{ due }',
    auditLog: '{ nodes { id } }',
    apiKeys: '{ nodes { prefix } }',
  };

  expect(Object.keys(input).sort()).toEqual([...OPERATORS_ONLY].sort());
  for (const name of OPERATORS_ONLY) {
    const operation = name in mutations ? 'mutation' : 'query';
    const { errors } = await stranger.send(`${operation} { ${name} ${input[name]} }`);
    expect([name, errors?.map(({ extensions }) => extensions.code)]).toEqual([name, ['FORBIDDEN']]);
  }
});

test('the tests reach every field of every type', async () => {
  const { schema } = await startWorld();
  const selections = new Selections(schema);
  const subscriptions = Object.values(schema.getSubscriptionType()?.getFields() ?? {});
  for (const field of [...rootFieldsOf(schema), ...subscriptions]) {
    if (!OPERATORS_ONLY.includes(field.name)) selections.of(getNamedType(field.type));
  }

  const roots = ['Query', 'Mutation', 'Subscription'];
  const all = Object.values(schema.getTypeMap())
    .filter(isObjectType)
    .filter(({ name }) => !name.startsWith('__') && !roots.includes(name))
    .filter(({ name }) => !OPERATORS_TYPES.includes(name))
    .flatMap((type) => Object.keys(type.getFields()).map((field) => `${type.name}.${field}`));
  expect(all.filter((name) => !selections.reached.has(name))).toEqual([]);
});

test('an account of another company takes the same statements as a missing account', async () => {
  const { stranger, theirs, absent, statements } = await startWorld();
  const statementsFor = async ({ iban, bulkId, transferId, entryId }: Names) => {
    statements.length = 0;
    for (const query of [
      `{ account(iban: "${iban}") { id } }`,
      `{ bulkTransfer(id: "${bulkId}") { id } }`,
      `{ transfer(id: "${transferId}") { id } }`,
      `{ node(id: "${entryId}") { id } }`,
      `{ bulkTransferByIdempotencyKey(accountIban: "${iban}", idempotencyKey: "${KEY}") { id } }`,
    ]) {
      await stranger.data(query);
    }
    const ours = statements.filter((statement) => !BACKGROUND_STATEMENT.test(statement));
    // The look-ups of one field run side by side, so their order varies.
    return ours.map((statement) => statement.replace(/'[^']*'|x'[^']*'/g, '?')).sort();
  };

  expect(await statementsFor(theirs)).toEqual(await statementsFor(absent));
});

test('a caller finds only the accounts of its own organizations', async () => {
  const { client, database } = await startServer();
  const { account } = await client.data(`{ account(iban: "${ACME}") { organizationId } }`);
  const ibansSeenBy = async (organizations: OrganizationScope) => {
    const reader = new MikroOrmScopedLedgerReader(database, NO_CATCHING_UP, organizations, {
      key: 'caller',
    });
    const ibans = [ACME, GLOBEX, ibanOf(1)];
    const accounts = await Promise.all(ibans.map((iban) => reader.accountByIban(iban)));
    return accounts.flatMap((account) => account?.iban ?? []).sort();
  };

  expect(await ibansSeenBy('all')).toEqual([ACME, GLOBEX].sort());
  expect(await ibansSeenBy([account.organizationId])).toEqual([ACME]);
  expect(await ibansSeenBy([])).toEqual([]);
  expect(await ibansSeenBy([`') or (1 = 1`])).toEqual([]);
});
