/** The contents of exported files: each is valid by its published schema, and has what the ledger has. */
import { expect, test } from 'vitest';
import { ACME, aBulk, aTransfer, GLOBEX, ibanOf, transfersOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { assertValidXml, cellsOf, contentsOf, exportFile } from '../support/exports.js';
import { anOrder, submitOrder, untilOrderIs } from '../support/orders.js';
import { startServer } from '../support/server.js';

const ALL_DAYS = { from: '2020-01-01', to: '2099-12-31' };

const statement = (client: Client, kind: string, iban = ACME) =>
  exportFile(client, { accountIban: iban, kind, ...ALL_DAYS });

const centsOf = (amount: string) => BigInt(amount.replace('.', ''));

/** Returns the amount of an element in cents, negative for a debit. */
function signedOf(xml: string): bigint {
  const cents = centsOf(contentsOf(xml, 'Amt')[0] ?? '');
  return contentsOf(xml, 'CdtDbtInd')[0] === 'DBIT' ? -cents : cents;
}

async function someEntries(client: Client): Promise<void> {
  await client.perform(aBulk(transfersOf(3, '14.50')));
  await client.perform(
    aBulk([
      aTransfer({ counterpartyIban: GLOBEX, amount: '10', endToEndId: 'E-1' }),
      aTransfer({ counterpartyIban: GLOBEX, amount: '20', description: 'Müller & Söhne <3 €' }),
    ]),
  );
  await client.data(`mutation { creditAccount(input: { iban: "${ACME}", amount: "0.01",
    description: "" }) { __typename } }`);
}

test('a statement in camt.053 is valid, and its opening balance and entries make its closing balance', async () => {
  const { client } = await startServer();
  await someEntries(client);

  for (const iban of [ACME, GLOBEX]) {
    const xml = await statement(client, 'STATEMENT_CAMT_053', iban);
    assertValidXml(xml, 'camt.053.001.08');
    const [opening = '', closing = ''] = contentsOf(xml, 'Bal');
    const entries = contentsOf(xml, 'Ntry');
    const sum = entries.map(signedOf).reduce((total, cents) => total + cents, 0n);
    expect(entries.length).toBeGreaterThan(1);
    expect(signedOf(opening) + sum).toBe(signedOf(closing));
    expect(signedOf(closing)).toBe(centsOf(await client.balance(iban)));
    expect(contentsOf(xml, 'NbOfNtries')).toEqual([String(entries.length)]);
  }
});

test('an entry of a bulk has the number of its transfers, and a credit from here has each transfer', async () => {
  const { client } = await startServer();
  await someEntries(client);

  const payer = await statement(client, 'STATEMENT_CAMT_053');
  expect(contentsOf(payer, 'NbOfTxs')).toEqual(['3', '2']);
  const payee = contentsOf(await statement(client, 'STATEMENT_CAMT_053', GLOBEX), 'Ntry').at(-1);
  expect(contentsOf(payee ?? '', 'NbOfTxs')).toEqual(['2']);
  const details = contentsOf(payee ?? '', 'TxDtls');
  expect(details.map((detail) => contentsOf(detail, 'EndToEndId'))).toEqual([
    ['E-1'],
    ['NOTPROVIDED'],
  ]);
  expect(details.map((detail) => contentsOf(detail, 'Amt'))).toEqual([['10.00'], ['20.00']]);
  expect(contentsOf(details[1] ?? '', 'Ustrd')).toEqual(['Mueller + Soehne (3 EUR']);
  expect(contentsOf(details[1] ?? '', 'IBAN')).toEqual([ACME]);
});

test('a statement in CSV has a line for each entry, with signed amounts and the text unchanged', async () => {
  const { client } = await startServer();
  await someEntries(client);
  await client.data(`mutation { creditAccount(input: { iban: "${ACME}", amount: "5",
    description: "=1+1;\\"ü\\"" }) { __typename } }`);

  const [header, ...lines] = cellsOf(await statement(client, 'STATEMENT_CSV'));
  const column = (name: string) => lines.map((line) => line[header?.indexOf(name) ?? -1]);
  expect(column('sequence')).toEqual(['1', '2', '3', '4', '5']);
  expect(column('amount')).toEqual(['100000.00', '-43.50', '-30.00', '0.01', '5.00']);
  expect(column('balance_after').at(-1)).toBe(await client.balance(ACME));
  expect(column('description').at(-1)).toBe('\'=1+1;"ü"');
});

test('a statement without entries is valid, and its balances are equal', async () => {
  const { client } = await startServer();

  const xml = await exportFile(client, {
    accountIban: ACME,
    kind: 'STATEMENT_CAMT_053',
    from: '2020-01-01',
    to: '2020-01-31',
  });
  assertValidXml(xml, 'camt.053.001.08');
  expect(contentsOf(xml, 'Bal').map(signedOf)).toEqual([0n, 0n]);
  expect(contentsOf(xml, 'Ntry')).toEqual([]);
  expect(contentsOf(xml, 'FrDtTm')).toEqual(['2020-01-01T00:00:00.000Z']);
  expect(contentsOf(xml, 'ToDtTm')).toEqual(['2020-01-31T23:59:59.999Z']);
});

test('amounts have the fraction digits of their currency', async () => {
  const { client } = await startServer({ IBAN_CHECK: 'format' });
  for (const [currency, number] of [
    ['JPY', 1],
    ['KWD', 2],
  ] as const) {
    await client.data(`mutation { openAccount(input: { organizationName: "${currency}", iban: "${ibanOf(number)}",
      bic: "OIVUSCLQXXX", currency: "${currency}", openingBalance: "1234" }) { __typename } }`);
  }

  const yen = await statement(client, 'STATEMENT_CAMT_053', ibanOf(1));
  const dinars = await statement(client, 'STATEMENT_CAMT_053', ibanOf(2));
  assertValidXml(yen, 'camt.053.001.08');
  assertValidXml(dinars, 'camt.053.001.08');
  expect(yen).toContain('<Amt Ccy="JPY">1234</Amt>');
  expect(dinars).toContain('<Amt Ccy="KWD">1234.000</Amt>');
});

test('the status of a bulk in pain.002 is valid, and every transfer is settled', async () => {
  const { client } = await startServer();
  const rows = [aTransfer({ endToEndId: '//E//1/', counterpartyName: 'Łukasz Żółć 北京' })];
  const { bulkTransfer } = await client.perform(aBulk([...rows, ...transfersOf(2)]));

  const xml = await exportFile(client, {
    bulkTransferId: bulkTransfer.id,
    kind: 'STATUS_PAIN_002',
  });
  assertValidXml(xml, 'pain.002.001.10');
  expect(contentsOf(xml, 'GrpSts')).toEqual(['ACSC']);
  expect(contentsOf(xml, 'TxSts')).toEqual(['ACSC', 'ACSC', 'ACSC']);
  expect(contentsOf(xml, 'OrgnlCtrlSum')).toEqual(['3.00', '3.00']);
  expect(contentsOf(xml, 'OrgnlEndToEndId')[0]).toBe('E/1');
  expect(contentsOf(xml, 'Cdtr')[0]).toBe('<Pty><Nm>Lukasz Zolc BeiJing</Nm></Pty>');
});

test('the status of an order names each problem of each row', async () => {
  const { client } = await startServer();
  const { id } = await anOrder(client, [
    aTransfer(),
    aTransfer({ amount: '1,50', counterpartyIban: 'DE00370400440532013000' }),
    aTransfer({ counterpartyName: '', counterpartyBic: '<&>', endToEndId: 'x'.repeat(400) }),
  ]);

  const xml = await exportFile(client, { orderId: id, kind: 'STATUS_PAIN_002' });
  assertValidXml(xml, 'pain.002.001.10');
  expect(contentsOf(xml, 'GrpSts')).toEqual(['RCVD']);
  const rows = contentsOf(xml, 'TxInfAndSts');
  expect(rows.map((row) => contentsOf(row, 'TxSts'))).toEqual([['RCVD'], ['RJCT'], ['RJCT']]);
  expect(contentsOf(contentsOf(rows[1] ?? '', 'StsRsnInf').join(''), 'Cd')).toEqual([
    'AM12',
    'AC01',
  ]);
  expect(contentsOf(xml, 'OrgnlCtrlSum')).toEqual([]);
});

test('the status of an order that failed, and that of an order that was partly performed', async () => {
  const { client } = await startServer({ ORDER_BULK_TRANSFERS_MAX: '2' });
  const failed = await anOrder(client, transfersOf(2, '60000.00'));
  await submitOrder(client, failed.id);
  await untilOrderIs(client, failed.id, 'FAILED');
  const partly = await anOrder(client, [...transfersOf(2), ...transfersOf(2, '60000.00')]);
  await submitOrder(client, partly.id);
  await untilOrderIs(client, partly.id, 'FAILED');

  const ofFailed = await exportFile(client, { orderId: failed.id, kind: 'STATUS_PAIN_002' });
  assertValidXml(ofFailed, 'pain.002.001.10');
  expect(contentsOf(ofFailed, 'GrpSts')).toEqual(['RJCT']);
  expect(contentsOf(contentsOf(ofFailed, 'OrgnlGrpInfAndSts')[0] ?? '', 'Cd')).toEqual(['AM04']);
  const ofPartly = await exportFile(client, { orderId: partly.id, kind: 'STATUS_PAIN_002' });
  assertValidXml(ofPartly, 'pain.002.001.10');
  expect(contentsOf(ofPartly, 'GrpSts')).toEqual(['PART']);
  expect(contentsOf(ofPartly, 'TxSts')).toEqual(['ACSC', 'ACSC', 'RJCT', 'RJCT']);
  const receipt = await exportFile(client, { orderId: partly.id, kind: 'RECEIPT_HTML' });
  expect(receipt).toContain('the first 2 transfers are performed');
});

test('the transfers of an order in CSV are the rows as they were sent, with their problems', async () => {
  const { client } = await startServer();
  const { id } = await anOrder(client, [
    aTransfer({ amount: '1,50', counterpartyName: '=cmd|calc', description: '+49 30' }),
    aTransfer({
      amount: '-5',
      counterpartyName: "'=x",
      description: 'a, "b"\nc',
      endToEndId: '@1',
    }),
  ]);

  const [header, ...lines] = cellsOf(
    await exportFile(client, { orderId: id, kind: 'TRANSFERS_CSV' }),
  );
  expect(header?.join()).toBe(
    'beneficiary_name,iban,bic,amount,currency,reference,end_to_end_id,line,error_code,error',
  );
  const iban = 'DE89370400440532013000';
  expect(lines.map((line) => line.slice(0, 8))).toEqual([
    ["'=cmd|calc", iban, '', '1,50', 'EUR', "'+49 30", '', ''],
    ["''=x", iban, '', '-5', 'EUR', 'a, "b"\nc', "'@1", ''],
  ]);
  expect(lines[0]?.slice(8)).toEqual(['INVALID_AMOUNT', expect.stringContaining('amount: "1,50"')]);
});

test('a receipt shows markup as text, and allows nothing but its own styles', async () => {
  const { client } = await startServer();
  const name = '<script>alert(1)</script>';
  const { bulkTransfer } = await client.perform(aBulk([aTransfer({ counterpartyName: name })]));

  const html = await exportFile(client, { bulkTransferId: bulkTransfer.id, kind: 'RECEIPT_HTML' });
  expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  expect(html).not.toMatch(/<script|<link|<img|javascript:|https?:/i);
  expect(html).toMatch(/Content-Security-Policy" content="default-src 'none'; style-src 'sha256-/);
  expect(html).toContain('@media print');
});

test('an order of more rows than a page is exported in order, in every format', async () => {
  const { client } = await startServer();
  const rows = transfersOf(1_201, '0.01');
  const { id } = await anOrder(client, rows);
  const { bulkTransfer } = await client.perform(aBulk(rows));

  for (const subject of [{ orderId: id }, { bulkTransferId: bulkTransfer.id }]) {
    const csv = await exportFile(client, { ...subject, kind: 'TRANSFERS_CSV' });
    expect(
      cellsOf(csv)
        .slice(1)
        .map((line) => line[5]),
    ).toEqual(rows.map(({ description }) => description));
    const xml = await exportFile(client, { ...subject, kind: 'STATUS_PAIN_002' });
    assertValidXml(xml, 'pain.002.001.10');
    expect(contentsOf(xml, 'StsId')).toEqual(rows.map((_, index) => String(index + 1)));
    const html = await exportFile(client, { ...subject, kind: 'RECEIPT_HTML' });
    expect(html.match(/<tr><td>/g)).toHaveLength(1_201);
  }
});
