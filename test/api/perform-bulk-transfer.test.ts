import { expect, test } from 'vitest';
import {
  ACME,
  aBulk,
  aTransfer,
  PAYROLL,
  PAYROLL_TOO_LARGE,
  transfersOf,
} from '../support/builders.js';
import { PERFORM } from '../support/client.js';
import { startServer } from '../support/server.js';

test('a covered bulk is performed: every transfer recorded, the balance debited', async () => {
  const { client } = await startServer();

  const result = await client.perform(PAYROLL);

  expect(result).toMatchObject({
    __typename: 'BulkTransferPerformed',
    replayed: false,
    account: { iban: ACME, balance: { amount: '37748.50' } },
    bulkTransfer: {
      idempotencyKey: null,
      transferCount: 3,
      status: 'PERFORMED',
      totalAmount: { amount: '62251.50', minorUnits: '6225150', currency: 'EUR' },
      balanceAfter: { amount: '37748.50' },
    },
  });
  expect(result.bulkTransfer.transfers.nodes).toMatchObject([
    { index: 0, amount: { amount: '14.50' }, counterpartyBic: 'CRLYFRPPTOU' },
    { index: 1, amount: { amount: '61238.00' }, counterpartyName: 'Wile E Coyote' },
    { index: 2, amount: { amount: '999.00' }, description: '2026 11 23/GoldenCarrot/' },
  ]);
  expect(await client.balance(ACME)).toBe('37748.50');
});

test('a bulk that would overdraw the account is rejected whole', async () => {
  const { client } = await startServer();
  await client.perform(PAYROLL);

  expect(await client.perform(PAYROLL_TOO_LARGE)).toMatchObject({
    __typename: 'InsufficientFunds',
    code: 'INSUFFICIENT_FUNDS',
    retryable: true,
    balance: { amount: '37748.50' },
    totalAmount: { amount: '106482.16' },
    shortfall: { amount: '68733.66' },
  });
  const { account } = await client.data(
    'query ($iban: String!) { account(iban: $iban) { sequence balance { amount } transfers { nodes { id } } } }',
    { iban: ACME },
  );
  expect(account).toMatchObject({ sequence: '2', balance: { amount: '37748.50' } });
  expect(account.transfers.nodes).toHaveLength(3);
});

test('the whole balance can be spent, and no cent more', async () => {
  const { client } = await startServer();

  expect(await client.perform(aBulk([aTransfer({ amount: '100000.01' })]))).toMatchObject({
    __typename: 'InsufficientFunds',
    shortfall: { amount: '0.01' },
  });
  expect(await client.perform(aBulk([aTransfer({ amount: '100000' })]))).toMatchObject({
    __typename: 'BulkTransferPerformed',
    account: { balance: { amount: '0.00' } },
  });
});

test('an unknown account is AccountNotFound with the normalised IBAN', async () => {
  const { client } = await startServer();

  expect(
    await client.perform({ ...PAYROLL, organizationIban: 'de89 3704 0044 0532 0130 00' }),
  ).toMatchObject({
    __typename: 'AccountNotFound',
    code: 'ACCOUNT_NOT_FOUND',
    retryable: false,
    iban: 'DE89370400440532013000',
  });
});

test("the debtor's IBAN is found with any spaces and case", async () => {
  const { client } = await startServer();

  expect(
    await client.perform({ ...PAYROLL, organizationIban: 'fr10 4746 0800 0002 0061 07xx xxx' }),
  ).toMatchObject({ __typename: 'BulkTransferPerformed', account: { iban: ACME } });
});

test('every problem of every row is reported with its row, field and code', async () => {
  const { client } = await startServer();
  const rows = [
    { amount: '1e3' },
    { amount: '1,50' },
    { amount: ' 5' },
    { amount: '+5' },
    { amount: 'NaN' },
    { amount: '' },
    { amount: '0' },
    { amount: '-1' },
    { amount: '0.001' },
    { amount: '1000000000' },
    { currency: 'USD' },
    { counterpartyName: '' },
    { counterpartyName: 'x'.repeat(141) },
    { counterpartyName: 'a\u0000b' },
    { counterpartyIban: '' },
    { counterpartyIban: 'DE8937040044053201300' },
    { counterpartyIban: 'XX89370400440532013000' },
    { counterpartyIban: 'DE89370400440532013001' },
    { counterpartyIban: ACME },
    { counterpartyBic: 'ABC' },
    { description: 'x'.repeat(141) },
    { description: '\ud800' },
    { endToEndId: '' },
    { endToEndId: 'x'.repeat(36) },
    { endToEndId: 'one' },
    { endToEndId: 'one' },
    { amount: 'x', counterpartyName: ' ', counterpartyBic: '!', description: '\n' },
  ];

  const result = await client.perform(
    aBulk(
      rows.map((row) => aTransfer(row)),
      { organizationName: 'Globex', organizationBic: 'ABNANL2A' },
    ),
  );

  const expected = [
    [null, 'organizationName', 'MISMATCH'],
    [null, 'organizationBic', 'MISMATCH'],
    [0, 'amount', 'INVALID_AMOUNT'],
    [1, 'amount', 'INVALID_AMOUNT'],
    [2, 'amount', 'INVALID_AMOUNT'],
    [3, 'amount', 'INVALID_AMOUNT'],
    [4, 'amount', 'INVALID_AMOUNT'],
    [5, 'amount', 'REQUIRED'],
    [6, 'amount', 'AMOUNT_NOT_POSITIVE'],
    [7, 'amount', 'AMOUNT_NOT_POSITIVE'],
    [8, 'amount', 'TOO_MANY_FRACTION_DIGITS'],
    [9, 'amount', 'AMOUNT_TOO_LARGE'],
    [10, 'currency', 'CURRENCY_MISMATCH'],
    [11, 'counterpartyName', 'REQUIRED'],
    [12, 'counterpartyName', 'TOO_LONG'],
    [13, 'counterpartyName', 'INVALID_CHARACTERS'],
    [14, 'counterpartyIban', 'REQUIRED'],
    [15, 'counterpartyIban', 'INVALID_IBAN'],
    [16, 'counterpartyIban', 'INVALID_IBAN'],
    [17, 'counterpartyIban', 'INVALID_IBAN_CHECKSUM'],
    [18, 'counterpartyIban', 'SAME_ACCOUNT'],
    [19, 'counterpartyBic', 'INVALID_BIC'],
    [20, 'description', 'TOO_LONG'],
    [21, 'description', 'INVALID_CHARACTERS'],
    [22, 'endToEndId', 'TOO_SHORT'],
    [23, 'endToEndId', 'TOO_LONG'],
    [25, 'endToEndId', 'DUPLICATE'],
    [26, 'amount', 'INVALID_AMOUNT'],
    [26, 'counterpartyName', 'REQUIRED'],
    [26, 'counterpartyBic', 'INVALID_BIC'],
    [26, 'description', 'INVALID_CHARACTERS'],
  ];
  expect(result).toMatchObject({
    __typename: 'InvalidBulkTransfer',
    problemCount: expected.length,
  });
  expect(
    result.problems.map((problem: { index: number; field: string; code: string }) => [
      problem.index,
      problem.field,
      problem.code,
    ]),
  ).toEqual(expected);
  expect(await client.balance(ACME)).toBe('100000.00');
});

test('a bulk without transfers is TOO_FEW, one with more than the limit TOO_MANY', async () => {
  const { client } = await startServer({ BULK_TRANSFERS_MAX: '5' });

  expect(await client.perform(aBulk([]))).toMatchObject({
    problems: [{ index: null, field: 'creditTransfers', code: 'TOO_FEW' }],
  });
  expect(await client.perform(aBulk(transfersOf(6)))).toMatchObject({
    problemCount: 1,
    problems: [{ index: null, field: 'creditTransfers', code: 'TOO_MANY' }],
  });
  expect(await client.perform(aBulk(transfersOf(5)))).toMatchObject({
    __typename: 'BulkTransferPerformed',
  });
});

test('an idempotency key has 1 to 255 printable ASCII characters', async () => {
  const { client } = await startServer();
  const codesOf = async (idempotencyKey: string) => {
    const { problems } = await client.perform(aBulk([aTransfer()], { idempotencyKey }));
    return problems.map(({ field, code }: { field: string; code: string }) => [field, code]);
  };

  expect(await codesOf('')).toEqual([['idempotencyKey', 'TOO_SHORT']]);
  expect(await codesOf('k'.repeat(256))).toEqual([['idempotencyKey', 'TOO_LONG']]);
  expect(await codesOf('clé')).toEqual([['idempotencyKey', 'INVALID_CHARACTERS']]);
  // The code points of this character end in the bytes of "a".
  await client.perform(aBulk([aTransfer()], { idempotencyKey: 'a' }));
  expect(await codesOf('š')).toEqual([['idempotencyKey', 'INVALID_CHARACTERS']]);
  expect(
    await client.perform(aBulk([aTransfer()], { idempotencyKey: '~'.repeat(255) })),
  ).toMatchObject({ __typename: 'BulkTransferPerformed' });
});

test('a value that no database can store is a problem like any other', async () => {
  const { client } = await startServer();
  const huge = 'x'.repeat(1_000_000);

  const result = await client.perform(
    aBulk(
      [
        aTransfer({ counterpartyIban: 'DE89\u00003704' }),
        aTransfer({ counterpartyIban: huge }),
        aTransfer({ amount: '0' }),
      ],
      { idempotencyKey: huge },
    ),
  );

  expect(
    result.problems.map(({ index, code }: { index: number; code: string }) => [index, code]),
  ).toEqual([
    [null, 'TOO_LONG'],
    [0, 'INVALID_IBAN'],
    [1, 'INVALID_IBAN'],
    [2, 'AMOUNT_NOT_POSITIVE'],
  ]);
  for (const iban of ['DE89\u00003704', huge, '']) {
    const { account } = await client.data(
      'query ($iban: String!) { account(iban: $iban) { id } }',
      {
        iban,
      },
    );
    expect(account).toBeNull();
  }
});

test('the list of problems ends at 1,000, but their count does not', async () => {
  const { client } = await startServer();

  const result = await client.perform(aBulk(transfersOf(1_100, '1,50')));

  expect(result.problemCount).toBe(1_100);
  expect(result.problems).toHaveLength(1_000);
});

test('a text with the shape of an IBAN is accepted with IBAN_CHECK=format', async () => {
  const strict = await startServer();
  const lenient = await startServer({ IBAN_CHECK: 'format' });
  const bulk = aBulk([aTransfer({ counterpartyIban: 'DE9935420810036209081725212' })]);

  expect(await strict.client.perform(bulk)).toMatchObject({ __typename: 'InvalidBulkTransfer' });
  expect(await lenient.client.perform(bulk)).toMatchObject({ __typename: 'BulkTransferPerformed' });
});

test('names and texts are returned unchanged', async () => {
  const { client } = await startServer();
  const texts = [
    'Zoë Müller',
    'Ørsted A/S',
    'Αθηνά Παππά',
    'e\u0301 is not \u00e9',
    ' spaces  stay ',
    '🥕'.repeat(140),
    '株式会社',
    `back\\slash 'quote' "double" %_`,
  ];

  const { bulkTransfer } = await client.perform(
    aBulk(texts.map((text) => aTransfer({ counterpartyName: text, description: text }))),
  );

  const { nodes } = bulkTransfer.transfers;
  expect(nodes.map((node: { counterpartyName: string }) => node.counterpartyName)).toEqual(texts);
  expect(nodes.map((node: { description: string }) => node.description)).toEqual(texts);
});

test('the total of 10,000 transfers of 999,999,999.99 is exact', async () => {
  const { client } = await startServer();

  expect(await client.perform(aBulk(transfersOf(10_000, '999999999.99')))).toMatchObject({
    __typename: 'InsufficientFunds',
    totalAmount: { amount: '9999999999900.00' },
  });
});

test('a bulk of 10,000 is recorded in the order given', async () => {
  const { client } = await startServer();

  const { bulkTransfer } = await client.perform(aBulk(transfersOf(10_000)));

  const { bulkTransfer: read } = await client.data(
    `query ($id: ID!) { bulkTransfer(id: $id) {
      transferCount balanceAfter { amount }
      transfers(last: 2) { nodes { index description } }
    } }`,
    { id: bulkTransfer.id },
  );
  expect(read).toEqual({
    transferCount: 10_000,
    balanceAfter: { amount: '90000.00' },
    transfers: {
      nodes: [
        { index: 9_998, description: 'Row 9998' },
        { index: 9_999, description: 'Row 9999' },
      ],
    },
  });
});

const VALIDATE = `query ($input: PerformBulkTransferInput!) {
  validateBulkTransfer(input: $input) {
    valid transferCount totalAmount { amount } balanceAfter { amount }
    problems { index field code } error { __typename code }
  }
}`;

test('a dry run answers with the outcome of the bulk and changes nothing', async () => {
  const { client } = await startServer();
  const validate = async (input: object) =>
    (await client.data(VALIDATE, { input })).validateBulkTransfer;

  expect(await validate(PAYROLL)).toEqual({
    valid: true,
    transferCount: 3,
    totalAmount: { amount: '62251.50' },
    balanceAfter: { amount: '37748.50' },
    problems: [],
    error: null,
  });
  expect(await validate(PAYROLL_TOO_LARGE)).toMatchObject({
    valid: false,
    error: { code: 'INSUFFICIENT_FUNDS' },
  });
  expect(await validate(aBulk([aTransfer({ amount: '100001' })]))).toEqual({
    valid: false,
    transferCount: 1,
    totalAmount: { amount: '100001.00' },
    balanceAfter: { amount: '-1.00' },
    problems: [],
    error: { __typename: 'InsufficientFunds', code: 'INSUFFICIENT_FUNDS' },
  });
  expect(await validate(aBulk([aTransfer({ amount: '1,5' })]))).toEqual({
    valid: false,
    transferCount: 1,
    totalAmount: null,
    balanceAfter: null,
    problems: [{ index: 0, field: 'amount', code: 'INVALID_AMOUNT' }],
    error: { __typename: 'InvalidBulkTransfer', code: 'INVALID_BULK_TRANSFER' },
  });
  expect(
    await validate(aBulk([aTransfer()], { organizationIban: 'NL91ABNA0417164300' })),
  ).toMatchObject({
    valid: false,
    totalAmount: { amount: '1.00' },
    balanceAfter: null,
    error: { __typename: 'AccountNotFound' },
  });
  expect(await client.balance(ACME)).toBe('100000.00');
});

test('a dry run with a used key says so', async () => {
  const { client } = await startServer();
  await client.perform({ ...PAYROLL, idempotencyKey: 'november' });
  const validate = async (input: object) =>
    (await client.data(VALIDATE, { input })).validateBulkTransfer;

  expect(await validate({ ...PAYROLL, idempotencyKey: 'november' })).toMatchObject({
    valid: true,
    balanceAfter: { amount: '37748.50' },
  });
  expect(await validate(aBulk([aTransfer()], { idempotencyKey: 'november' }))).toMatchObject({
    valid: false,
    error: { __typename: 'IdempotencyKeyReused' },
  });
});

test.each([
  ['a number as an amount', { amount: 1 }, 'String cannot represent a non string value: 1'],
  ['a field that is missing', { description: undefined }, 'Field "description" of required type'],
  ['an unknown field', { iban: 'x' }, 'Field "iban" is not defined by type "CreditTransferInput"'],
])('%s is refused, and its row is named', async (_, wrong, message) => {
  const { client } = await startServer();
  const rows = [aTransfer(), aTransfer(wrong)];

  const { errors } = await client.send(PERFORM, { input: aBulk(rows) });

  expect(errors?.[0]?.message).toContain('"input.creditTransfers[1]');
  expect(errors?.[0]?.message).toContain(message);
  expect(await client.balance(ACME)).toBe('100000.00');
});

test('the rows are the same in a variable, in a part of a variable, and in the text', async () => {
  const { client } = await startServer();
  const rows = transfersOf(3);
  const literal = rows.map((row) =>
    Object.entries(row).map(([name, value]) => `${name}: ${JSON.stringify(value)}`),
  );
  const asText = `{ organizationIban: "${ACME}", creditTransfers: [${literal.map((row) => `{ ${row.join(', ')} }`)}] }`;
  const selected = `{ ... on BulkTransferPerformed { bulkTransfer {
    transferCount totalAmount { amount currency }
    transfers { nodes { amount { amount currency } counterpartyName counterpartyIban description } }
  } } ... on UserError { message } }`;

  const data = await client.data(
    `mutation ($input: PerformBulkTransferInput!, $rows: [CreditTransferInput!]!) {
      variable: performBulkTransfer(input: $input) ${selected}
      again: performBulkTransfer(input: $input) ${selected}
      part: performBulkTransfer(input: { organizationIban: "${ACME}", creditTransfers: $rows }) ${selected}
      text: performBulkTransfer(input: ${asText}) ${selected}
    }`,
    { input: aBulk(rows), rows },
  );

  expect(data.variable.bulkTransfer).toMatchObject({
    transferCount: 3,
    totalAmount: { amount: '3.00', currency: 'EUR' },
  });
  expect(data.variable.bulkTransfer.transfers.nodes).toHaveLength(3);
  expect([data.again, data.part, data.text]).toEqual(Array(3).fill(data.variable));
});

test('the default value of a variable is the input of a bulk', async () => {
  const { client } = await startServer();

  const { performBulkTransfer } = await client.data(
    `mutation ($input: PerformBulkTransferInput! = { organizationIban: "${ACME}", creditTransfers: [
      { amount: "2", counterpartyName: "Bip Bip", counterpartyIban: "DE89370400440532013000", description: "" }
    ] }) { performBulkTransfer(input: $input) { __typename } }`,
  );

  expect(performBulkTransfer).toEqual({ __typename: 'BulkTransferPerformed' });
  expect(await client.balance(ACME)).toBe('99998.00');
});

test('an input that is null is refused as the error of the client', async () => {
  const { client, log } = await startServer();

  const { errors } = await client.send(
    `mutation ($input: PerformBulkTransferInput = { organizationIban: "${ACME}", creditTransfers: [] }) {
      performBulkTransfer(input: $input) { __typename }
    }`,
    { input: null },
  );

  expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT' } }]);
  expect(log.filter(({ level }) => Number(level) >= 50)).toEqual([]);
});
