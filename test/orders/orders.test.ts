/** Bulk transfer orders: drafts that are corrected, submitted, and performed as one bulk. */
import { expect, test } from 'vitest';
import { ACME, aBulk, aTransfer, GLOBEX, ibanOf, transfersOf } from '../support/builders.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import {
  addOrderRows,
  anOrder,
  cancelOrder,
  createOrder,
  duplicateOrder,
  orderOf,
  removeOrderRows,
  replaceOrderRow,
  submitOrder,
  untilOrderIs,
} from '../support/orders.js';
import { startServer } from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

test('a draft is submitted, and performed as one bulk', async () => {
  const { client } = await startServer();
  const draft = await anOrder(
    client,
    [...transfersOf(2), aTransfer({ counterpartyIban: GLOBEX })],
    {
      name: 'Payroll of November',
    },
  );
  expect(draft).toMatchObject({
    __typename: 'BulkTransferOrder',
    name: 'Payroll of November',
    status: 'DRAFT',
    source: 'API',
    rowCount: 3,
    problemCount: 0,
    totalAmount: { amount: '3.00', currency: 'EUR' },
    balanceAfter: { amount: '99997.00' },
    bulkTransfers: [],
    createdBy: 'developer',
    submittedBy: null,
  });
  expect(await client.balance(ACME)).toBe('100000.00');

  const submitted = await submitOrder(client, draft.id);
  expect(submitted).toMatchObject({ id: draft.id, submittedBy: 'developer', expiresAt: null });

  const performed = await untilOrderIs(client, draft.id, 'PERFORMED');
  expect(performed).toMatchObject({
    failure: null,
    bulkTransfers: [
      { idempotencyKey: draft.id, transferCount: 3, totalAmount: { amount: '3.00' } },
    ],
  });
  expect(await client.balance(ACME)).toBe('99997.00');
});

test('rows with problems are kept with all of them, and an order with problems is not submitted', async () => {
  const { client } = await startServer();
  const { id } = await createOrder(client);
  const rows = [
    aTransfer({ endToEndId: 'A' }),
    aTransfer({ amount: '1,50', counterpartyIban: 'DE00370400440532013000' }),
    aTransfer({ endToEndId: 'A' }),
  ];

  expect(await addOrderRows(client, id, rows)).toMatchObject({
    rowCount: 3,
    problemCount: 3,
    totalAmount: null,
    balanceAfter: null,
  });
  const { order } = await client.data(
    `query ($id: ID!) { order(id: $id) {
      problems(first: 2) { totalCount pageInfo { hasNextPage endCursor }
        nodes { row line column field code value message } }
      rows(onlyProblems: true) { nodes { row amount problems { code } } } } }`,
    { id },
  );
  expect(order.problems).toMatchObject({
    totalCount: 3,
    pageInfo: { hasNextPage: true },
    nodes: [
      { row: 1, line: null, column: null, field: 'amount', code: 'INVALID_AMOUNT', value: '1,50' },
      { row: 1, field: 'counterpartyIban', code: 'INVALID_IBAN_CHECKSUM' },
    ],
  });
  expect(order.rows.nodes).toEqual([
    {
      row: 1,
      amount: '1,50',
      problems: [{ code: 'INVALID_AMOUNT' }, { code: 'INVALID_IBAN_CHECKSUM' }],
    },
    { row: 2, amount: '1.00', problems: [{ code: 'DUPLICATE' }] },
  ]);
  const { order: rest } = await client.data(
    `query ($id: ID!, $after: Cursor) { order(id: $id) {
      problems(first: 2, after: $after) { pageInfo { hasNextPage } nodes { row code value } } } }`,
    { id, after: order.problems.pageInfo.endCursor },
  );
  expect(rest.problems).toEqual({
    pageInfo: { hasNextPage: false },
    nodes: [{ row: 2, code: 'DUPLICATE', value: 'A' }],
  });

  expect(await submitOrder(client, id)).toMatchObject({
    __typename: 'OrderStateConflict',
    code: 'ORDER_STATE_CONFLICT',
    order: { id, status: 'DRAFT' },
  });
  expect(await replaceOrderRow(client, id, 1, aTransfer())).toMatchObject({ problemCount: 1 });
  expect(await removeOrderRows(client, id, [0])).toMatchObject({ rowCount: 2, problemCount: 0 });
  await submitOrder(client, id);
  expect(await untilOrderIs(client, id, 'PERFORMED')).toMatchObject({
    bulkTransfers: [{ transferCount: 2 }],
  });
});

test('a chunk that is sent again replaces its rows, and chunks may come in any order', async () => {
  const { client } = await startServer();
  const { id } = await createOrder(client);
  await addOrderRows(client, id, transfersOf(3, '2.00'), 1);
  await addOrderRows(client, id, transfersOf(5), 0);
  expect(await addOrderRows(client, id, transfersOf(2), 0)).toMatchObject({
    rowCount: 5,
    totalAmount: { amount: '8.00' },
  });

  const { order } = await client.data(
    'query ($id: ID!) { order(id: $id) { rows(first: 100) { totalCount nodes { row amount } } } }',
    { id },
  );
  expect(order.rows.totalCount).toBe(5);
  expect(order.rows.nodes.map(({ row }: { row: number }) => row)).toEqual([
    0, 1, 10_000, 10_001, 10_002,
  ]);
});

test('an order that its account does not cover fails as a whole, and may be submitted again', async () => {
  const { client } = await startServer();
  const draft = await anOrder(client, transfersOf(2, '60000.00'));
  expect(draft.balanceAfter).toEqual({ amount: '-20000.00' });
  await submitOrder(client, draft.id);

  const failed = await untilOrderIs(client, draft.id, 'FAILED');
  expect(failed).toMatchObject({
    bulkTransfers: [],
    failure: {
      __typename: 'InsufficientFunds',
      code: 'INSUFFICIENT_FUNDS',
      shortfall: { amount: '20000.00' },
    },
  });
  expect(failed.expiresAt).not.toBeNull();
  expect(await client.balance(ACME)).toBe('100000.00');

  await client.data(`mutation { creditAccount(input: { iban: "${ACME}", amount: "20000",
    description: "" }) { __typename } }`);
  await submitOrder(client, draft.id);
  expect(await untilOrderIs(client, draft.id, 'PERFORMED')).toMatchObject({ failure: null });
  expect(await client.balance(ACME)).toBe('0.00');
});

test('the key of an order is the key of its bulk, which a client may have performed before', async () => {
  const { client } = await startServer();
  const rows = transfersOf(2);
  const { bulkTransfer } = await client.perform(aBulk(rows, { idempotencyKey: 'november' }));
  const same = await anOrder(client, rows);
  const other = await anOrder(client, transfersOf(3));
  await submitOrder(client, same.id, 'november');
  await submitOrder(client, other.id, 'november');

  expect(await untilOrderIs(client, same.id, 'PERFORMED')).toMatchObject({
    bulkTransfers: [{ id: bulkTransfer.id }],
  });
  expect(await untilOrderIs(client, other.id, 'FAILED')).toMatchObject({
    failure: { __typename: 'IdempotencyKeyReused' },
  });
  expect(await client.balance(ACME)).toBe('99998.00');
});

test('an order with more rows than a bulk may have is performed as several, each atomic', async () => {
  const { client } = await startServer({ ORDER_BULK_TRANSFERS_MAX: '4' });
  // The second bulk is not covered.
  const rows = [...transfersOf(4), ...transfersOf(4, '60000.00'), ...transfersOf(2)];
  const draft = await anOrder(client, rows);
  await submitOrder(client, draft.id, 'parts');

  const failed = await untilOrderIs(client, draft.id, 'FAILED');
  expect(failed).toMatchObject({
    failure: { code: 'INSUFFICIENT_FUNDS' },
    bulkTransfers: [{ idempotencyKey: 'parts/1', transferCount: 4 }],
  });
  expect(await replaceOrderRow(client, draft.id, 5, aTransfer())).toMatchObject({
    __typename: 'OrderStateConflict',
  });
  await client.data(`mutation { creditAccount(input: { iban: "${ACME}", amount: "200000",
    description: "" }) { __typename } }`);
  await submitOrder(client, draft.id);

  expect(await untilOrderIs(client, draft.id, 'PERFORMED')).toMatchObject({
    bulkTransfers: [
      { idempotencyKey: 'parts/1', transferCount: 4 },
      { idempotencyKey: 'parts/2', transferCount: 4 },
      { idempotencyKey: 'parts/3', transferCount: 2 },
    ],
  });
  expect(await client.balance(ACME)).toBe('59994.00');
});

test('each state refuses what it does not allow', async () => {
  const { client } = await startServer();
  const empty = await createOrder(client);
  expect(await submitOrder(client, empty.id)).toMatchObject({ __typename: 'OrderStateConflict' });
  expect(await cancelOrder(client, empty.id)).toMatchObject({
    status: 'CANCELLED',
    expiresAt: null,
  });

  const { id } = await anOrder(client, transfersOf(1));
  await submitOrder(client, id);
  await untilOrderIs(client, id, 'PERFORMED');
  for (const ended of [empty.id, id]) {
    for (const answer of [
      await addOrderRows(client, ended, transfersOf(1)),
      await removeOrderRows(client, ended, [0]),
      await submitOrder(client, ended),
      await cancelOrder(client, ended),
    ]) {
      expect(answer).toMatchObject({ __typename: 'OrderStateConflict', order: { id: ended } });
    }
  }
  const copy = await duplicateOrder(client, id);
  expect(copy).toMatchObject({ status: 'DRAFT', rowCount: 1, totalAmount: { amount: '1.00' } });
  expect(copy.id).not.toBe(id);
  await submitOrder(client, copy.id);
  await untilOrderIs(client, copy.id, 'PERFORMED');
  expect(await client.balance(ACME)).toBe('99998.00');
});

test('wrong input is refused with its problems', async () => {
  const { client } = await startServer();
  const { id } = await anOrder(client, transfersOf(1));
  expect(await createOrder(client, { organizationIban: 'NL91ABNA0417164300' })).toMatchObject({
    __typename: 'AccountNotFound',
  });
  expect(await createOrder(client, { name: '' })).toMatchObject({ problems: [{ field: 'name' }] });
  expect(await addOrderRows(client, id, [], 100)).toMatchObject({ problems: [{ field: 'chunk' }] });
  expect(await addOrderRows(client, id, [], -1)).toMatchObject({ problems: [{ field: 'chunk' }] });
  expect(await replaceOrderRow(client, id, 7, aTransfer())).toMatchObject({
    problems: [{ field: 'row', code: 'MISMATCH' }],
  });
  expect(await submitOrder(client, id, 'x'.repeat(241))).toMatchObject({
    problems: [{ field: 'idempotencyKey', code: 'TOO_LONG' }],
  });
  expect(await submitOrder(client, 'no id')).toMatchObject({ __typename: 'OrderNotFound' });
  expect(await orderOf(client, id)).toMatchObject({ status: 'DRAFT', rowCount: 1 });
});

test('values of any length and character are kept as drafts, and never performed', async () => {
  const { client } = await startServer();
  const row = {
    amount: '9'.repeat(600),
    counterpartyName: '😀'.repeat(600),
    counterpartyIban: '\ud800'.repeat(600),
    counterpartyBic: 'x'.repeat(2_000),
    description: '\u202e'.repeat(501),
    endToEndId: '\0',
  };
  const draft = await anOrder(client, [row]);
  expect(draft.problemCount).toBeGreaterThan(5);
  const { order } = await client.data(
    `query ($id: ID!) { order(id: $id) { rows { nodes { amount counterpartyName } } } }`,
    { id: draft.id },
  );
  expect(order.rows.nodes[0].amount).toBe('9'.repeat(500));
  expect([...order.rows.nodes[0].counterpartyName].length).toBe(500);
  expect(await submitOrder(client, draft.id)).toMatchObject({ __typename: 'OrderStateConflict' });
});

test('a subscriber sees the state at once, the phases, and the end', async () => {
  const server = await startServer();
  const { client } = server;
  const { id } = await anOrder(client, transfersOf(3_000, '0.01'));
  const query = `subscription ($id: ID!) { orderProgress(id: $id) {
    phase rowsDone rowsTotal order { status rowCount bulkTransfers { transferCount } } } }`;
  const subscriber = subscribe(server.url, query, { id });
  await expect.poll(() => subscriber.events.length).toBe(1);
  expect(subscriber.events[0]).toMatchObject({
    phase: 'DONE',
    rowsDone: 0,
    rowsTotal: 3_000,
    order: { status: 'DRAFT' },
  });
  await submitOrder(client, id);

  await expect.poll(() => subscriber.events.at(-1)?.order.status).toBe('PERFORMED');
  expect(subscriber.events.at(-1)).toMatchObject({
    phase: 'DONE',
    rowsDone: 3_000,
    order: { bulkTransfers: [{ transferCount: 3_000 }] },
  });
  const phases = subscriber.events.map(({ phase }) => phase);
  const order = ['CHECKING', 'WAITING', 'WRITING', 'DONE'];
  const places = phases.slice(1).map((phase) => order.indexOf(phase));
  expect(subscriber.errors).toEqual([]);
  expect(places.length).toBeGreaterThan(1);

  const other = subscribe(server.url, query, { id: '01900000-0000-7000-8000-000000000000' });
  await expect.poll(() => other.errors.length).toBe(1);
  expect(other.errors[0]).toMatchObject({ extensions: { code: 'ORDER_NOT_FOUND' } });
});

test('a company sees and changes its own orders alone', async () => {
  const provider = await startIdentityProvider();
  const server = await startServer(provider.env);
  const bank = server.client.as(await provider.token({ roles: ['operator'] }));
  const { accounts } = await bank.data('{ accounts { nodes { iban organizationId } } }');
  const orgOf = (iban: string) =>
    accounts.nodes.find((account: { iban: string }) => account.iban === iban).organizationId;
  const as = async (iban: string, roles: string[]) =>
    server.client.as(await provider.token({ org: orgOf(iban), roles }));
  const acme = await as(ACME, ['initiator']);
  const globex = await as(GLOBEX, ['initiator']);
  const { id } = await anOrder(acme, transfersOf(1));

  expect(await createOrder(globex, { organizationIban: ACME })).toMatchObject({
    __typename: 'AccountNotFound',
  });
  expect(await orderOf(globex, id)).toBeNull();
  for (const answer of [
    await addOrderRows(globex, id, []),
    await replaceOrderRow(globex, id, 0, aTransfer()),
    await removeOrderRows(globex, id, [0]),
    await submitOrder(globex, id),
    await cancelOrder(globex, id),
    await duplicateOrder(globex, id),
  ]) {
    expect(answer).toMatchObject({ __typename: 'OrderNotFound' });
  }
  const list = `query ($filter: OrderFilter) { orders(filter: $filter) { totalCount nodes { id } } }`;
  const idsOf = async (client: typeof acme, filter?: object) =>
    (await client.data(list, { filter })).orders.nodes.map((order: { id: string }) => order.id);
  expect(await idsOf(globex)).toEqual([]);
  expect(await idsOf(acme)).toEqual([id]);
  expect(await idsOf(bank)).toEqual([id]);
  expect(await idsOf(acme, { accountIban: ACME, statuses: ['DRAFT'] })).toEqual([id]);
  expect(await idsOf(acme, { statuses: ['PERFORMED'] })).toEqual([]);
  expect(await idsOf(acme, { accountIban: GLOBEX })).toEqual([]);
  const viewer = await as(ACME, ['viewer']);
  const { errors } = await viewer.send(`mutation { submitOrder(id: "${id}") { __typename } }`);
  expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  const { node } = await acme.data(`{ node(id: "${id}") { id __typename } }`);
  expect(node).toEqual({ id, __typename: 'BulkTransferOrder' });

  // The bulk is performed in the name of the caller who submitted it.
  await submitOrder(acme, id);
  await untilOrderIs(acme, id, 'PERFORMED');
  const { auditLog } = await bank.data(
    '{ auditLog(first: 100) { nodes { action outcome actor subjectId } } }',
  );
  const actions = auditLog.nodes
    .filter(
      ({ subjectId, outcome }: Record<string, string>) => subjectId === id && outcome === 'DONE',
    )
    .map(({ action, actor }: Record<string, string>) => `${action} ${actor}`);
  expect(actions.toSorted()).toEqual(
    ['createOrder', 'addOrderRows', 'submitOrder', 'performOrder']
      .map((action) => `${action} someone`)
      .toSorted(),
  );
});

test('warnings name the rows of an order, and the bulk that an order repeats', async () => {
  const { client } = await startServer();
  const rows = transfersOf(3);
  const { bulkTransfer } = await client.perform(aBulk(rows));
  const { id } = await createOrder(client);
  await addOrderRows(client, id, rows, 1);
  await removeOrderRows(client, id, [10_001]);
  await addOrderRows(client, id, [rows[2] ?? {}, rows[1] ?? {}], 2);
  const query = `query ($id: ID!, $first: Int, $after: Cursor) { order(id: $id) {
    warnings(first: $first, after: $after) { totalCount pageInfo { hasNextPage endCursor }
      nodes { row code bulkTransfer { id } } } } }`;

  const { order } = await client.data(query, { id, first: 1 });
  const { order: rest } = await client.data(query, {
    id,
    after: order.warnings.pageInfo.endCursor,
  });

  const warnings = [...order.warnings.nodes, ...rest.warnings.nodes];
  expect(order.warnings.pageInfo.hasNextPage).toBe(warnings.length > 1);
  expect(order.warnings.totalCount).toBe(warnings.length);
  expect(warnings).toContainEqual({
    row: 20_000,
    code: 'DUPLICATE_IN_BULK',
    bulkTransfer: null,
  });
  const repeated = await anOrder(client, rows);
  const { order: same } = await client.data(query, { id: repeated.id });
  expect(same.warnings.nodes).toContainEqual({
    row: null,
    code: 'DUPLICATE_OF_EARLIER',
    bulkTransfer: { id: bulkTransfer.id },
  });
});

test('orders are counted by the states into which they came', async () => {
  const { client, url } = await startServer();
  const { id } = await anOrder(client, transfersOf(1));
  await submitOrder(client, id);
  await untilOrderIs(client, id, 'PERFORMED');
  await cancelOrder(client, (await createOrder(client)).id);

  const metrics = await (await fetch(`${url}/metrics`)).text();
  for (const sample of [
    'virement_order_transitions_total{status="DRAFT"} 2',
    'virement_order_transitions_total{status="SUBMITTED"} 1',
    'virement_order_transitions_total{status="PERFORMED"} 1',
    'virement_order_transitions_total{status="CANCELLED"} 1',
    'virement_orders_submitted 0',
    'virement_orders_oldest_submitted_seconds 0',
  ]) {
    expect(metrics).toContain(sample);
  }
});

test('the key of an order stays, so that no later submission can pay it twice', async () => {
  const { client } = await startServer();
  const { id } = await anOrder(client, transfersOf(1, '999999.99'));
  await submitOrder(client, id, 'november');
  await untilOrderIs(client, id, 'FAILED');

  expect(await submitOrder(client, id, 'december')).toMatchObject({
    __typename: 'OrderStateConflict',
    order: { status: 'FAILED' },
  });
  await replaceOrderRow(client, id, 0, aTransfer());
  expect(await submitOrder(client, id)).toMatchObject({ id });
  expect(await untilOrderIs(client, id, 'PERFORMED')).toMatchObject({
    bulkTransfers: [{ idempotencyKey: 'november' }],
  });

  const { id: other } = await anOrder(client, transfersOf(2));
  await submitOrder(client, other, 'november');
  await untilOrderIs(client, other, 'FAILED');
  await submitOrder(client, other, 'december');
  expect(await untilOrderIs(client, other, 'PERFORMED')).toMatchObject({
    bulkTransfers: [{ idempotencyKey: 'december' }],
  });
});

test('a value that is too long to be kept is a problem, even if its beginning would be valid', async () => {
  const { client } = await startServer();
  const padded = aTransfer({ amount: `${'0'.repeat(498)}1450.00` });
  const spaced = aTransfer({ counterpartyIban: `${' '.repeat(490)}DE89370400440532013000` });

  const draft = await anOrder(client, [padded, spaced]);

  expect(draft).toMatchObject({ problemCount: 2, totalAmount: null });
  const { order } = await client.data(
    'query ($id: ID!) { order(id: $id) { problems { nodes { row field code } } } }',
    { id: draft.id },
  );
  expect(order.problems.nodes).toEqual([
    { row: 0, field: 'amount', code: 'TOO_LONG' },
    { row: 1, field: 'counterpartyIban', code: 'TOO_LONG' },
  ]);
});

test('a total that no balance could cover is refused, and changes nothing', async () => {
  const { client } = await startServer();
  const { account } = await client.data(`{ account(iban: "${ACME}") { organizationId } }`);
  const iban = ibanOf(1);
  await client.data(
    'mutation ($input: OpenAccountInput!) { openAccount(input: $input) { __typename } }',
    {
      input: {
        organizationId: account.organizationId,
        organizationName: 'ACME Corp',
        iban,
        bic: 'ABNANL2A',
        currency: 'IDR',
      },
    },
  );
  const { id } = await createOrder(client, { organizationIban: iban });
  const row = aTransfer({ amount: '90000000000000.00', currency: 'IDR' });
  const kept = await addOrderRows(client, id, [row]);
  expect(kept).toMatchObject({ totalAmount: { amount: '90000000000000.00', currency: 'IDR' } });

  expect(await addOrderRows(client, id, [row], 1)).toMatchObject({
    __typename: 'InvalidInput',
    problems: [{ field: 'rows', code: 'AMOUNT_TOO_LARGE' }],
  });
  expect(await orderOf(client, id)).toMatchObject({ rowCount: 1, problemCount: 0 });
});

test('rows that many requests change at once are changed by each of them', async () => {
  const { client } = await startServer();
  const { id } = await anOrder(client, transfersOf(20));

  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, row) =>
      replaceOrderRow(client, id, row, aTransfer({ amount: '2.00' })),
    ),
  );

  for (const answer of answers) expect(answer).toMatchObject({ id });
  expect(await orderOf(client, id)).toMatchObject({ totalAmount: { amount: '40.00' } });
});
