/** npm run import, against a running server. */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { ACME, ibanOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { freePort } from '../support/free-port.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { csvOf, pain001Of } from '../support/imports.js';
import { cancelOrder } from '../support/orders.js';
import { runScript } from '../support/process.js';
import { portOf, startProxy } from '../support/proxy.js';
import { startServer } from '../support/server.js';
import { spreadsheetOf } from '../support/spreadsheet.js';

const COMMAND = 'dist/commands/import.js';
const OF_ACME = ['--account', ACME];

async function aFile(name: string, content: string | Uint8Array): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'import-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, name), content);
  return join(folder, name);
}

const run = (url: string, args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  runScript(COMMAND, env, ['--url', url, ...args]);

async function ordersOf(client: Client): Promise<{ id: string; status: string }[]> {
  const { orders } = await client.data(
    '{ orders(first: 100) { nodes { id status fileName rowCount account { iban } } } }',
  );
  return orders.nodes;
}

test('a CSV file becomes a draft, and the same command finds it again', async () => {
  const { url, client } = await startServer();
  const file = await aFile('payroll.csv', csvOf(3));

  const first = await run(url, [file, ...OF_ACME]);
  const [order] = await ordersOf(client);

  expect(first).toEqual({
    code: 0,
    output: [
      `${file}: 1 order`,
      `order ${order?.id}`,
      '  status        DRAFT',
      `  account       ${ACME}`,
      '  rows          3',
      '  total         3.00 EUR',
      '  balance after 99997.00 EUR',
      '  problems      0',
      '',
    ].join('\n'),
  });
  expect(order).toMatchObject({ fileName: 'payroll.csv' });
  // An IBAN is the same in any form.
  const again = await run(`${url}/graphql`, [file, '--account', ` ${ACME.toLowerCase()}`]);
  expect(again.output).toContain(`${file}: 1 order, already imported\norder ${order?.id}\n`);
  expect(await ordersOf(client)).toHaveLength(1);
  const other = await run(url, [file, ...OF_ACME, '--again', '--name', 'other.csv']);
  expect(other).toMatchObject({ code: 0, output: expect.stringContaining('SAME_FILE') });
  expect(await ordersOf(client)).toMatchObject([{ fileName: 'other.csv' }, {}]);
});

test('problems and warnings are tables, and nothing of the file is submitted', async () => {
  const { url, client } = await startServer();
  const wrong = csvOf(25).replaceAll('1.00', 'one\u001b[31m');
  const file = await aFile('payroll.csv', wrong);
  const parts = await aFile(
    'two.xml',
    pain001Of([ACME, ACME], 1).replace('1.00</InstdAmt>', '0.00</InstdAmt>'),
  );

  const { code, output } = await run(url, [file, ...OF_ACME]);
  const both = await run(url, [parts, '--submit']);

  expect(code).toBe(1);
  const lines = output.trimEnd().split('\n');
  expect(lines).toContain('  problems      25');
  expect(lines).toContain('problems, the first 20 of 25');
  expect(lines).toContainEqual(
    expect.stringMatching(/^ {2}row {2}line {2}column {2}code +message$/),
  );
  expect(
    lines.filter((line) => /^ {2}\d+ +\d+ +amount {2}INVALID_AMOUNT {2}"one/.test(line)),
  ).toHaveLength(20);
  expect(output).not.toContain('\u001b');
  expect(lines.at(-1)).toBe('The file has 25 problems: correct it, and import it again');
  expect(both.code).toBe(1);
  expect(both.output).toContain('AMOUNT_NOT_POSITIVE');
  expect(both.output).toContain('EXECUTION_DATE_KEPT');
  expect(both.output).toContain('no order was submitted');
  expect((await ordersOf(client)).map(({ status }) => status)).toEqual(['DRAFT', 'DRAFT', 'DRAFT']);
});

test('with --submit, the orders of a file are performed, once', async () => {
  const { url, client } = await startServer();
  const file = await aFile('payroll.xml', pain001Of([ACME, ACME], 2));

  const { code, output } = await run(url, [file, '--submit']);

  expect(output).toMatch(/order \S+ performed: bulk \S+\norder \S+ performed: bulk \S+\n$/);
  expect(code).toBe(0);
  expect(output).toContain('  name          Part 0');
  expect(await client.balance(ACME)).toBe('99996.00');
  const again = await run(url, [file, '--submit']);
  expect(again).toMatchObject({ code: 0, output: expect.stringContaining('already imported') });
  expect(again.output).toMatch(/ was performed before: bulk \S+; --again pays the file again\n$/);
  expect(await client.balance(ACME)).toBe('99996.00');
});

test('an order goes on without the command, which follows it again through cuts', async () => {
  const { url, client } = await startServer();
  const proxy = await startProxy({ host: '127.0.0.1', port: portOf(url) });
  const file = await aFile('payroll.csv', csvOf(2));
  const args = [COMMAND, '--url', `http://127.0.0.1:${proxy.port}`, file, ...OF_ACME, '--submit'];
  const isAway = proxy.cutAt('orderProgress', 'before').then(() => proxy.goDown());
  const child = spawn(process.execPath, args, { env: {}, stdio: ['ignore', 'ignore', 'pipe'] });
  const said = text(child.stderr);

  await isAway;
  child.kill('SIGINT');
  const [code] = await once(child, 'close');

  expect(code).toBe(1);
  expect(await said).toMatch(
    /^Interrupted\. The order \S+ goes on: run the same command again to follow it\n$/,
  );
  await proxy.goUp();
  void proxy.cutAt('orderProgress', 'answered');
  const again = await run(`http://127.0.0.1:${proxy.port}`, [file, ...OF_ACME, '--submit']);
  expect(again.output).toMatch(/already imported[\s\S]* performed(?: before)?: bulk .+\n$/);
  expect(await client.balance(ACME)).toBe('99998.00');
});

test('an order that fails or was cancelled ends the command with its reason', async () => {
  const { url, client } = await startServer();
  const large = await aFile('large.csv', csvOf(2, { amount: '90000.00' }));
  const small = await aFile('small.csv', csvOf(1));

  const failed = await run(url, [large, ...OF_ACME, '--submit']);
  await run(url, [small, ...OF_ACME]);
  const [draft] = await ordersOf(client);
  await cancelOrder(client, draft?.id ?? '');
  const cancelled = await run(url, [small, ...OF_ACME, '--submit']);

  expect(failed.code).toBe(1);
  expect(failed.output).toMatch(/order \S+ is FAILED: .+\n1 of 1 orders not performed\n$/);
  expect(failed.output).toContain('balance after -80000.00 EUR');
  expect(cancelled.code).toBe(1);
  expect(cancelled.output).toMatch(
    /is CANCELLED, and no order was submitted: import the file with --again\n$/,
  );
  expect(await client.balance(ACME)).toBe('100000.00');
});

test('a spreadsheet becomes the same order as its CSV file', async () => {
  const { url, client } = await startServer();
  const rows = [
    ['Beneficiary name', 'IBAN', 'Amount', 'Reference'],
    ['Jane Doe', 'DE89370400440532013000', 1.1000000000000001, 'November'],
    [null, null, null, null],
    ['Zoë', 'DE89370400440532013000', 20, 4711],
    ['John', 8.9370400440532e19, 1, 'x'],
  ] as const;
  const right = await aFile('payroll.xlsx', spreadsheetOf(rows.slice(0, 4)));
  const wrong = await aFile('wrong.xlsx', spreadsheetOf(rows));
  const old = await aFile('old.xls', Buffer.from('d0cf11e0a1b11ae1', 'hex'));

  const imported = await run(url, [right, ...OF_ACME, '--submit']);
  const refused = await run(url, [wrong, ...OF_ACME]);

  expect(imported.output).toContain('total         21.10 EUR');
  expect(imported).toMatchObject({ code: 0, output: expect.stringContaining('performed: bulk') });
  expect(await client.balance(ACME)).toBe('99978.90');
  expect(refused.code).toBe(1);
  // The line is the row of the spreadsheet.
  expect(refused.output).toMatch(/ 5 +IBAN +SPREADSHEET_NUMBER /);
  expect(await run(url, [old, ...OF_ACME])).toEqual({
    code: 1,
    output: 'The file is a spreadsheet before .xlsx: save it as .xlsx or as CSV\n',
  });
  expect((await run(url, [right, ...OF_ACME, '--sheet', 'x'])).output).toContain(
    'its sheets are "Payroll"',
  );
});

test('the token of VIREMENT_TOKEN is sent, and one that is absent or wrong is named', async () => {
  const provider = await startIdentityProvider();
  const { url, client } = await startServer(provider.env);
  const operator = client.as(await provider.token({ roles: ['operator'] }));
  const { accounts } = await operator.data('{ accounts { nodes { iban organizationId } } }');
  const org = accounts.nodes.find(({ iban }: { iban: string }) => iban === ACME).organizationId;
  const file = await aFile('payroll.csv', csvOf(2));
  const runAs = (token?: string) =>
    run(url, [file, ...OF_ACME], token === undefined ? {} : { VIREMENT_TOKEN: token });

  expect(await runAs()).toEqual({
    code: 1,
    output:
      'The server needs a token (401): set VIREMENT_TOKEN to a token or an API key that it accepts\n',
  });
  expect((await runAs('wrong')).output).toMatch(
    /^The server does not accept the token \(401\): .*\n$/,
  );
  expect((await runAs('wr\u00f6ng')).output).toBe(
    'VIREMENT_TOKEN has a character that no token has\n',
  );
  expect(await runAs(await provider.token({ org, roles: ['viewer'] }))).toMatchObject({
    code: 1,
    output: expect.stringMatching(/^[^\n]+\(FORBIDDEN\)\n$/),
  });
  expect(await runAs(await provider.token({ org, roles: ['initiator'] }))).toMatchObject({
    code: 0,
  });
});

test('every failure is a sentence', async () => {
  const { url } = await startServer();
  const file = await aFile('payroll.csv', csvOf(1));
  const sheet = await aFile('payroll.xlsx', spreadsheetOf([['a']]));
  const other = createServer((_, response) => response.writeHead(404).end('no')).listen(
    0,
    '127.0.0.1',
  );
  await once(other, 'listening');
  onTestFinished(() => void other.close());
  const otherUrl = `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
  const away = `http://127.0.0.1:${await freePort()}`;
  const failures: readonly [string, readonly string[], RegExp][] = [
    [away, [file, ...OF_ACME], /^No answer from http:\/\/127\.0\.0\.1:\d+: .*\(ECONNREFUSED\)$/],
    [
      otherUrl,
      [file, ...OF_ACME],
      /answered with HTTP status 404, but not as Virement does: check --url$/,
    ],
    ['bank', [file], /^--url is bank; it must be http/],
    [url, [file, '--account', ibanOf(1)], /\(ACCOUNT_NOT_FOUND\)$/],
    [url, [file], /\(INVALID_INPUT\)\n {2}organizationIban: A value is required\.$/],
    [url, [`${file}x`, ...OF_ACME], /^The file cannot be read: ENOENT/],
    [url, [file, '--format', 'XLSX'], /^--format is XLSX; allowed are CSV and PAIN_001$/],
    [url, [sheet, '--format', 'PAIN_001'], /but the file is a spreadsheet$/],
    [url, [file, '--sheet', 'a'], /^--sheet is for \.xlsx files alone$/],
    [url, [], /^The file is missing\. For help: npm run import -- --help$/],
    [url, [file, file], /^Unexpected argument/],
  ];

  for (const [server, args, message] of failures) {
    const { code, output } = await run(server, args);
    expect(output.trimEnd()).toMatch(message);
    expect(code).toBe(1);
  }
});
