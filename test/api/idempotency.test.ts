import { expect, test } from 'vitest';
import { bulkTransferFingerprint, normaliseBulk } from '../../src/domain/bulk-transfer.js';
import { creditFingerprint } from '../../src/domain/credit.js';
import { ACME, aBulk, aTransfer, GLOBEX, PAYROLL, transfersOf } from '../support/builders.js';
import { PERFORM } from '../support/client.js';
import { startServer, type TestServer } from '../support/server.js';

const KEYED = { ...PAYROLL, idempotencyKey: 'november-payroll' };

test('the same key with the same content gets the first answer again', async () => {
  const { client } = await startServer();
  const first = await client.perform(KEYED);

  const again = await client.perform(KEYED);

  expect(again).toMatchObject({ __typename: 'BulkTransferPerformed', replayed: true });
  expect(again.bulkTransfer).toEqual(first.bulkTransfer);
  expect(await client.balance(ACME)).toBe('37748.50');
});

test('the same content may have another spelling', async () => {
  const { client } = await startServer();
  await client.perform(aBulk([aTransfer({ amount: '14.5' })], { idempotencyKey: 'k' }));

  expect(
    await client.perform(
      aBulk(
        [
          aTransfer({
            amount: '014.50',
            currency: 'EUR',
            counterpartyIban: 'de89 3704 0044 0532 0130 00',
          }),
        ],
        { idempotencyKey: 'k', organizationName: 'acme corp' },
      ),
    ),
  ).toMatchObject({ replayed: true });
});

test('the same key with other content is refused with the bulk of the key', async () => {
  const { client } = await startServer();
  const { bulkTransfer } = await client.perform(KEYED);
  const reused = {
    __typename: 'IdempotencyKeyReused',
    code: 'IDEMPOTENCY_KEY_REUSED',
    retryable: false,
    reused: { id: bulkTransfer.id },
  };

  const { creditTransfers } = KEYED;
  const others = [
    creditTransfers.slice(1),
    [...creditTransfers].reverse(),
    [...creditTransfers, aTransfer()],
    creditTransfers.map((row) => ({ ...row, description: `${row.description} ` })),
    [aTransfer({ amount: 'not even an amount' })],
  ];
  for (const other of others) {
    expect(await client.perform({ ...KEYED, creditTransfers: other })).toMatchObject(reused);
  }
  expect(await client.balance(ACME)).toBe('37748.50');
});

test('keys differ if any character does, trailing spaces and case included', async () => {
  const { client } = await startServer();

  for (const idempotencyKey of ['key', 'key ', ' key', 'KEY']) {
    expect(await client.perform(aBulk([aTransfer()], { idempotencyKey }))).toMatchObject({
      replayed: false,
    });
  }
  expect(await client.balance(ACME)).toBe('99996.00');
});

test('each account has its own keys', async () => {
  const { client } = await startServer();
  await client.perform(KEYED);

  expect(
    await client.perform({
      ...aBulk([aTransfer()]),
      ...{ organizationIban: GLOBEX, idempotencyKey: KEYED.idempotencyKey },
    }),
  ).toMatchObject({
    __typename: 'BulkTransferPerformed',
    replayed: false,
  });
});

test('a refused bulk does not use up its key', async () => {
  const { client } = await startServer();
  const idempotencyKey = 'again';

  expect(
    await client.perform(aBulk([aTransfer({ amount: '100001' })], { idempotencyKey })),
  ).toMatchObject({ __typename: 'InsufficientFunds' });
  expect(
    await client.perform(aBulk([aTransfer({ amount: 'x' })], { idempotencyKey })),
  ).toMatchObject({ __typename: 'InvalidBulkTransfer' });
  expect(await client.perform(aBulk([aTransfer()], { idempotencyKey }))).toMatchObject({
    __typename: 'BulkTransferPerformed',
    replayed: false,
  });
});

test('fifty simultaneous requests with one key perform one bulk, and all get its answer', async () => {
  const { client } = await startServer();
  const bulk = aBulk(transfersOf(20), { idempotencyKey: 'at once' });

  const answers = await Promise.all(Array.from({ length: 50 }, () => client.perform(bulk)));

  expect(new Set(answers.map((answer) => answer.__typename))).toEqual(
    new Set(['BulkTransferPerformed']),
  );
  expect(new Set(answers.map((answer) => answer.bulkTransfer.id)).size).toBe(1);
  expect(answers.filter((answer) => !answer.replayed)).toHaveLength(1);
  // No answer shows the account before its own bulk.
  for (const { account } of answers) {
    expect(account).toMatchObject({ sequence: '2', balance: { amount: '99980.00' } });
  }
  expect(await client.balance(ACME)).toBe('99980.00');
});

test('a bulk is found by its key', async () => {
  const { client } = await startServer();
  const { bulkTransfer } = await client.perform(KEYED);
  const find = async (accountIban: string, idempotencyKey: string) =>
    (
      await client.data(
        `query ($accountIban: String!, $idempotencyKey: String!) {
          bulkTransferByIdempotencyKey(accountIban: $accountIban, idempotencyKey: $idempotencyKey) { id }
        }`,
        { accountIban, idempotencyKey },
      )
    ).bulkTransferByIdempotencyKey;

  expect(await find(ACME.toLowerCase(), KEYED.idempotencyKey)).toEqual({ id: bulkTransfer.id });
  for (const other of ['another', `${KEYED.idempotencyKey} `, 'ŮŮŮ', '']) {
    expect(await find(ACME, other)).toBeNull();
  }
  expect(await find(GLOBEX, KEYED.idempotencyKey)).toBeNull();
});

test('the Idempotency-Key header has the same effect as the key in the input', async () => {
  const { client } = await startServer();
  const first = await client.perform(KEYED);

  for (const header of ['"november-payroll"', 'november-payroll']) {
    expect(await client.perform(PAYROLL, { 'idempotency-key': header })).toMatchObject({
      replayed: true,
      bulkTransfer: { id: first.bulkTransfer.id },
    });
  }
  expect(await client.perform(KEYED, { 'idempotency-key': 'november-payroll' })).toMatchObject({
    replayed: true,
  });
});

test('a header that differs from the input, or is malformed, is BAD_USER_INPUT', async () => {
  const { client } = await startServer();

  for (const header of ['another', '"november-payroll', '"a"b"']) {
    const answer = await client.send(PERFORM, { input: KEYED }, { 'idempotency-key': header });
    expect(answer.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  }
  expect(await client.balance(ACME)).toBe('100000.00');
});

test('a header over a document with several mutations is BAD_USER_INPUT', async () => {
  const { client } = await startServer();

  const answer = await client.send(
    `mutation ($input: PerformBulkTransferInput!) {
      one: performBulkTransfer(input: $input) { __typename }
      ...Another
    }
    fragment Another on Mutation { two: performBulkTransfer(input: $input) { __typename } }`,
    { input: PAYROLL },
    { 'idempotency-key': 'k' },
  );

  expect(answer.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  expect(await client.balance(ACME)).toBe('100000.00');
});

test('a header over different mutations performs none of them', async () => {
  const { client } = await startServer();

  const answer = await client.send(
    `mutation ($input: PerformBulkTransferInput!) {
      openAccount(input: { organizationName: "A", iban: "NL91ABNA0417164300", bic: "ABNANL2A" }) { __typename }
      performBulkTransfer(input: $input) { __typename }
    }`,
    { input: PAYROLL },
    { 'idempotency-key': 'k' },
  );

  expect(answer.errors?.[0]?.extensions.code).toBe('BAD_USER_INPUT');
  const { account } = await client.data('{ account(iban: "NL91ABNA0417164300") { id } }');
  expect(account).toBeNull();
});

test('a header may be sent with one mutation that is split into fragments or repeated', async () => {
  const { client } = await startServer();

  const answer = await client.send(
    `mutation ($input: PerformBulkTransferInput!, $no: Boolean!) {
      performBulkTransfer(input: $input) { __typename }
      ...Again
      other: performBulkTransfer(input: $input) @include(if: $no) { __typename }
    }
    fragment Again on Mutation { performBulkTransfer(input: $input) { ... on UserError { code } } }`,
    { input: PAYROLL, no: false },
    { 'idempotency-key': 'k' },
  );

  expect(answer.data).toEqual({ performBulkTransfer: { __typename: 'BulkTransferPerformed' } });
});

/** Stores the fingerprint that the first release would have stored for a key. */
async function storeAs(table: string, idempotencyKey: string, fingerprint: string, on: TestServer) {
  await on.database.orm.em.fork().execute(
    `update ${table} set fingerprint = '${fingerprint}'
        where idempotency_key = x'${Buffer.from(idempotencyKey).toString('hex')}'`,
  );
}

test('a key that the first release stored still stands for its bulk', async () => {
  const server = await startServer();
  const { client } = server;
  const first = await client.perform(KEYED);
  const fingerprint = bulkTransferFingerprint(normaliseBulk(KEYED), 1);
  await storeAs('bulk_transfer', KEYED.idempotencyKey, fingerprint, server);

  expect(await client.perform(KEYED)).toMatchObject({
    replayed: true,
    bulkTransfer: { id: first.bulkTransfer.id },
  });
  expect(
    await client.perform({ ...KEYED, creditTransfers: KEYED.creditTransfers.slice(1) }),
  ).toMatchObject({ __typename: 'IdempotencyKeyReused' });
});

test('a key that the first release stored still stands for its credit', async () => {
  const server = await startServer();
  const { client } = server;
  const request = { iban: ACME, amount: '12', description: 'Refund', idempotencyKey: 'refund-1' };
  const credit = async (overrides = {}) =>
    (
      await client.data(
        `mutation ($input: CreditAccountInput!) { creditAccount(input: $input) {
          __typename ... on AccountCredited { replayed entry { id } }
        } }`,
        { input: { ...request, ...overrides } },
      )
    ).creditAccount;
  const { entry } = await credit();
  await storeAs('ledger_entry', request.idempotencyKey, creditFingerprint(request, 1), server);

  expect(await credit()).toMatchObject({ replayed: true, entry });
  expect(await credit({ amount: '13' })).toMatchObject({ __typename: 'IdempotencyKeyReused' });
});

test('a server that requires keys refuses a mutation without one and changes nothing', async () => {
  const { client } = await startServer({ REQUIRE_IDEMPOTENCY_KEY: 'true' });
  const problem = {
    index: null,
    field: 'idempotencyKey',
    code: 'REQUIRED',
    message: 'This server requires an idempotency key for every bulk and every credit.',
  };
  const credit = async (headers: Record<string, string> = {}) =>
    (
      await client.send(
        `mutation { creditAccount(input: { iban: "${ACME}", amount: "1", description: "" }) {
          __typename ... on InvalidInput { problems { index field code message } }
        } }`,
        {},
        headers,
      )
    ).data?.creditAccount;

  expect(await client.perform(PAYROLL)).toMatchObject({ problemCount: 1, problems: [problem] });
  expect(await credit()).toEqual({ __typename: 'InvalidInput', problems: [problem] });
  expect(await client.balance(ACME)).toBe('100000.00');
  expect(await client.perform(KEYED)).toMatchObject({ __typename: 'BulkTransferPerformed' });
  expect(await credit({ 'Idempotency-Key': '"c"' })).toEqual({ __typename: 'AccountCredited' });
});
