/** Files of transfers that become orders. */
import { request } from 'node:http';
import { expect, test } from 'vitest';
import { BulkTransferOrder } from '../../src/entities/bulk-transfer-order.entity.js';
import { ACME, GLOBEX } from '../support/builders.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { csvOf, importedOrder, pain001Of, postFile } from '../support/imports.js';
import { submitOrder, untilOrderIs } from '../support/orders.js';
import { startServer } from '../support/server.js';

const OF_ACME = { query: { account: ACME } };

test('a CSV file becomes a draft with its lines, which is submitted and performed', async () => {
  const { url, client } = await startServer();

  const response = await postFile(url, csvOf(3), {
    query: { account: ACME, fileName: 'payroll.csv' },
  });

  expect(response.status).toBe(201);
  const { orders } = (await response.json()) as { orders: { id: string }[] };
  expect(orders).toEqual([
    {
      id: expect.any(String),
      name: null,
      status: 'DRAFT',
      source: 'CSV',
      fileName: 'payroll.csv',
      rowCount: 3,
      problemCount: 0,
      totalAmount: { amount: '3.00', currency: 'EUR' },
    },
  ]);
  const [{ id } = { id: '' }] = orders;
  expect(await importedOrder(client, id)).toMatchObject({
    account: { iban: ACME },
    rows: {
      nodes: [
        { row: 0, line: 2, amount: '1.00', counterpartyName: 'Jane Doe', endToEndId: 'E0' },
        { row: 1, line: 3 },
        { row: 2, line: 4, description: 'Invoice 2' },
      ],
    },
    problems: { totalCount: 0 },
  });
  await submitOrder(client, id);
  expect(await untilOrderIs(client, id, 'PERFORMED')).toMatchObject({
    bulkTransfers: [{ transferCount: 3 }],
  });
  expect(await client.balance(ACME)).toBe('99997.00');
});

test('each problem names the row, the line and the column of the file', async () => {
  const { url, client } = await startServer();
  const file = [
    'IBAN;Beneficiary name;Amount;Reference',
    'DE89370400440532013000;Jane Doe;1,50;"two',
    'lines"',
    '8.9E+19;;x;',
    'DE89370400440532013000;Jane Doe',
  ].join('\r\n');

  const response = await postFile(url, file, OF_ACME);

  const { orders } = (await response.json()) as { orders: { id: string }[] };
  const order = await importedOrder(client, orders[0]?.id ?? '');
  expect(order).toMatchObject({ rowCount: 3, totalAmount: null });
  expect(order.problems.nodes).toEqual(
    expect.arrayContaining([
      {
        row: 1,
        line: 4,
        column: 'IBAN',
        field: 'counterpartyIban',
        code: 'SPREADSHEET_NUMBER',
        value: '8.9E+19',
      },
      {
        row: 1,
        line: 4,
        column: 'Beneficiary name',
        field: 'counterpartyName',
        code: 'REQUIRED',
        value: '',
      },
      expect.objectContaining({ row: 1, line: 4, column: 'Amount', code: 'INVALID_AMOUNT' }),
      expect.objectContaining({ row: 2, line: 5, code: 'CELL_COUNT_MISMATCH' }),
    ]),
  );
});

test('a pain.001 file becomes an order for each PmtInf, with the day that it asks for', async () => {
  const { url, client } = await startServer();

  const response = await postFile(url, pain001Of([ACME, GLOBEX, ACME], 2), {
    headers: { 'content-type': 'application/xml' },
  });

  expect(response.status).toBe(201);
  const { orders } = (await response.json()) as { orders: { id: string }[] };
  const found = await Promise.all(orders.map(({ id }) => importedOrder(client, id)));
  expect(found.map(({ name, account }) => [name, account.iban])).toEqual([
    ['Part 0', ACME],
    ['Part 1', GLOBEX],
    ['Part 2', ACME],
  ]);
  for (const order of found) {
    expect(order).toMatchObject({
      source: 'PAIN_001',
      executionDate: '2031-01-31',
      rowCount: 2,
      problemCount: 0,
      totalAmount: { amount: '2.00' },
    });
    expect(order.warnings.nodes).toContainEqual(
      expect.objectContaining({ row: null, code: 'EXECUTION_DATE_KEPT' }),
    );
  }
});

test('a wrong control sum is a problem of the order, which is not submitted', async () => {
  const { url, client } = await startServer();
  const file = pain001Of([ACME], 2).replaceAll('<CtrlSum>2.00', '<CtrlSum>3.00');

  const response = await postFile(url, file);

  const { orders } = (await response.json()) as { orders: { id: string; problemCount: number }[] };
  const [{ id, problemCount } = { id: '', problemCount: 0 }] = orders;
  const order = await importedOrder(client, id);
  expect(problemCount).toBe(2);
  expect(order.problems).toMatchObject({ totalCount: 2 });
  expect(order.problems.nodes[0]).toMatchObject({ row: null, code: 'CONTROL_SUM_MISMATCH' });
  expect(order.problems.nodes[0].line).toEqual(expect.any(Number));
  expect(await submitOrder(client, id)).toMatchObject({ __typename: 'OrderStateConflict' });
});

test('a file that cannot be read, a foreign account and a wrong request make no order', async () => {
  const { url, client } = await startServer();
  const { account } = OF_ACME.query;
  const refused: readonly [string, string, Record<string, string>, number, string][] = [
    ['no columns', 'a,b\n1,2\n', { account }, 422, 'INVALID_INPUT'],
    ['nothing', '', { account }, 422, 'INVALID_INPUT'],
    ['no XML', '<Document>', { account }, 422, 'INVALID_INPUT'],
    ['a document type', '<!DOCTYPE x><Document/>', { account }, 422, 'INVALID_INPUT'],
    ['no account', csvOf(1), {}, 422, 'INVALID_INPUT'],
    ['an unknown account', csvOf(1), { account: 'NL91ABNA0417164300' }, 404, 'ACCOUNT_NOT_FOUND'],
    ['another account', pain001Of([GLOBEX], 1), { account }, 422, 'INVALID_INPUT'],
    ['an unknown format', csvOf(1), { account, format: 'XLSX' }, 400, 'BAD_USER_INPUT'],
    ['another format', csvOf(1), { account, format: 'PAIN_001' }, 422, 'INVALID_INPUT'],
    ['an unknown parameter', csvOf(1), { account, submit: 'true' }, 400, 'BAD_USER_INPUT'],
    ['an empty name', csvOf(1), { account, fileName: '' }, 422, 'INVALID_INPUT'],
  ];

  for (const [what, file, query, status, code] of refused) {
    const response = await postFile(url, file, { query });
    const { errors } = (await response.json()) as { errors: { extensions: object }[] };
    expect([what, response.status, errors[0]?.extensions]).toEqual([
      what,
      status,
      expect.objectContaining({ code }),
    ]);
  }
  expect((await client.data('{ orders { totalCount } }')).orders.totalCount).toBe(0);
});

test('a repeated request with the same key answers the orders of the first', async () => {
  const { url, client } = await startServer();
  const send = (file: string, key: string) =>
    postFile(url, file, { ...OF_ACME, headers: { 'idempotency-key': key } });
  const first = await send(csvOf(3), 'november');
  const again = await send(csvOf(3), 'november');
  const other = await send(csvOf(4), 'november');

  expect([first.status, again.status, other.status]).toEqual([201, 200, 422]);
  expect(await again.json()).toEqual(await first.json());
  expect(await other.json()).toMatchObject({
    errors: [{ extensions: { code: 'IDEMPOTENCY_KEY_REUSED' } }],
  });
  const many = await Promise.all(Array.from({ length: 2 }, () => send(csvOf(500), 'december')));
  expect(many.map(({ status }) => status).filter((status) => status === 201)).toHaveLength(1);
  expect((await client.data('{ orders { totalCount } }')).orders.totalCount).toBe(2);
});

test('the same file, and a payment that was made before, are warnings that name them', async () => {
  const { url, client } = await startServer();
  const idOf = async (response: Response) =>
    ((await response.json()) as { orders: { id: string }[] }).orders[0]?.id ?? '';
  const first = await idOf(await postFile(url, csvOf(2), OF_ACME));
  await submitOrder(client, first);
  const { bulkTransfers } = await untilOrderIs(client, first, 'PERFORMED');

  const same = await importedOrder(client, await idOf(await postFile(url, csvOf(2), OF_ACME)));
  const more = await importedOrder(client, await idOf(await postFile(url, csvOf(3), OF_ACME)));

  const bulkTransfer = { id: bulkTransfers[0].id };
  expect(same.warnings.nodes).toEqual([
    expect.objectContaining({ row: null, code: 'SAME_FILE', order: { id: first } }),
    expect.objectContaining({ row: null, code: 'DUPLICATE_OF_EARLIER', bulkTransfer }),
  ]);
  expect(more.warnings.nodes).toEqual(
    [0, 1].map((row) =>
      expect.objectContaining({ row, line: row + 2, code: 'DUPLICATE_PAYMENT', bulkTransfer }),
    ),
  );
});

test('a form sends the file with its name', async () => {
  const { url, client } = await startServer();
  const form = new FormData();
  form.append('account', ACME);
  form.append('file', new Blob([csvOf(2)], { type: 'text/csv' }), 'Zoë.csv');

  const response = await postFile(url, form);

  expect(response.status).toBe(201);
  const { orders } = (await response.json()) as { orders: { id: string }[] };
  expect(await importedOrder(client, orders[0]?.id ?? '')).toMatchObject({
    fileName: 'Zoë.csv',
    rowCount: 2,
  });
  const empty = new FormData();
  empty.append('account', ACME);
  expect((await postFile(url, empty)).status).toBe(400);
});

test('a file over the limit is refused, in every form', async () => {
  const { url, client } = await startServer({ IMPORT_BYTES_MAX: '10000' });
  const large = csvOf(1_000);
  const form = new FormData();
  form.append('account', ACME);
  form.append('file', new Blob([large]), 'large.csv');
  const chunked = new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(large));
      controller.close();
    },
  });
  const streamed = () =>
    fetch(`${url}/imports?account=${ACME}`, {
      method: 'POST',
      headers: { 'content-type': 'text/csv' },
      body: chunked,
      duplex: 'half',
    } as RequestInit);

  for (const send of [() => postFile(url, large, OF_ACME), () => postFile(url, form), streamed]) {
    const response = await send();
    expect(response.status).toBe(413);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'PAYLOAD_TOO_LARGE', limit: 10_000 } }],
    });
  }
  expect((await client.data('{ orders { totalCount } }')).orders.totalCount).toBe(0);
});

test('a file that is half sent makes no order, and keeps no place', async () => {
  const { url, client, database } = await startServer();
  const file = csvOf(1_000);
  const { hostname, port } = new URL(url);
  // A caller has two places: the last request is served only if each of these gave its place back.
  for (const form of [false, true, true]) {
    const head = form
      ? '--x\r\ncontent-disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
      : '';
    const upload = request({
      hostname,
      port,
      method: 'POST',
      path: `/imports?account=${ACME}`,
      headers: {
        'content-type': form ? 'multipart/form-data; boundary=x' : 'text/csv',
        'content-length': file.length * 2,
      },
    });
    upload.on('error', () => {});
    upload.write(head + file);
    await new Promise((resolve) => setTimeout(resolve, 300));
    upload.destroy();
  }

  // The server goes on, and has made nothing.
  expect((await postFile(url, csvOf(1), OF_ACME)).status).toBe(201);
  const { orders } = await client.data('{ orders { totalCount } }');
  expect(orders.totalCount).toBe(1);
  expect(await database.orm.em.fork().count(BulkTransferOrder)).toBe(1);
});

test('an import whose client disconnects makes no order, and its key may be used again', async () => {
  const { url, client, database } = await startServer();
  const abort = new AbortController();
  const headers = { accept: 'text/event-stream', 'idempotency-key': 'november' };
  const file = csvOf(40_000);
  const response = await fetch(`${url}/imports?account=${ACME}`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'text/csv' },
    body: file,
    signal: abort.signal,
  });
  const reader = response.body?.getReader();
  await reader?.read();
  abort.abort();
  await reader?.closed.catch(() => {});

  await expect
    .poll(
      async () =>
        (await postFile(url, csvOf(1), { ...OF_ACME, headers: { 'idempotency-key': 'november' } }))
          .status,
    )
    .toBe(201);
  const { orders } = await client.data('{ orders { nodes { rowCount status } } }');
  const left = await database.orm.em.fork().find(BulkTransferOrder, { phase: 'READING' });
  expect(orders.nodes.filter(({ rowCount }: { rowCount: number }) => rowCount === 1)).toEqual([
    { rowCount: 1, status: 'DRAFT' },
  ]);
  expect(left.every(({ importKey, expiresAt }) => importKey === null && expiresAt !== null)).toBe(
    true,
  );
});

test('an initiator imports for its own company, and nobody else does', async () => {
  const provider = await startIdentityProvider();
  const { url, client } = await startServer(provider.env);
  const bank = client.as(await provider.token({ roles: ['operator'] }));
  const { accounts } = await bank.data('{ accounts { nodes { iban organizationId } } }');
  const orgOf = (iban: string) =>
    accounts.nodes.find((account: { iban: string }) => account.iban === iban).organizationId;
  const send = async (claims: Record<string, unknown> | undefined, file = csvOf(1)) => {
    const token = claims && (await provider.token(claims));
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    return postFile(url, file, { query: file.startsWith('<') ? {} : { account: ACME }, headers });
  };

  expect((await send(undefined)).status).toBe(401);
  expect((await send({ org: orgOf(ACME), roles: ['viewer'] })).status).toBe(403);
  expect((await send({ org: orgOf(GLOBEX), roles: ['initiator'] })).status).toBe(404);
  const mixed = pain001Of([GLOBEX, ACME], 1);
  expect((await send({ org: orgOf(GLOBEX), roles: ['initiator'] }, mixed)).status).toBe(404);
  expect((await send({ org: orgOf(ACME), roles: ['initiator'] })).status).toBe(201);

  const { auditLog } = await bank.data('{ auditLog(first: 20) { nodes { action outcome } } }');
  const outcomes = auditLog.nodes
    .filter(({ action }: { action: string }) => action === 'importOrder')
    .map(({ outcome }: { outcome: string }) => outcome);
  expect(outcomes.toSorted()).toEqual([
    'ACCOUNT_NOT_FOUND',
    'ACCOUNT_NOT_FOUND',
    'DONE',
    'FORBIDDEN',
  ]);
});

test('a stream of events tells how far an import is', async () => {
  const { url } = await startServer();
  const response = await postFile(url, csvOf(12_000), {
    ...OF_ACME,
    headers: { accept: 'text/event-stream' },
  });

  expect(response.headers.get('content-type')).toContain('text/event-stream');
  const events = (await response.text())
    .trim()
    .split('\n\n')
    .map((event) => {
      const [name = '', data = ''] = event.split('\n');
      return [name.slice('event: '.length), JSON.parse(data.slice('data: '.length))];
    });
  const [, begun] = events[0] ?? [];
  expect(begun).toEqual({ orders: [{ id: expect.any(String) }], rowsTotal: 12_000 });
  expect(events.slice(1, -1)).toEqual([
    ['progress', { rowsDone: 5_000 }],
    ['progress', { rowsDone: 10_000 }],
    ['progress', { rowsDone: 12_000 }],
  ]);
  expect(events.at(-1)).toEqual([
    'complete',
    { orders: [expect.objectContaining({ ...begun.orders[0], rowCount: 12_000 })] },
  ]);

  const refused = await postFile(url, 'a,b\n', {
    ...OF_ACME,
    headers: { accept: 'text/event-stream' },
  });
  expect(refused.status).toBe(422);
});

test('importOrder takes a small file', async () => {
  const { client } = await startServer();
  const send = (input: object) =>
    client.data(
      `mutation ($input: ImportOrderInput!) { importOrder(input: $input) { __typename
        ... on OrdersImported { orders { rowCount source fileName status } }
        ... on InvalidInput { problems { field code } } } }`,
      { input },
    );

  expect(
    await send({ organizationIban: ACME, format: 'CSV', content: csvOf(2), fileName: 'a.csv' }),
  ).toEqual({
    importOrder: {
      __typename: 'OrdersImported',
      orders: [{ rowCount: 2, source: 'CSV', fileName: 'a.csv', status: 'DRAFT' }],
    },
  });
  expect(await send({ format: 'PAIN_001', content: pain001Of([ACME], 1) })).toMatchObject({
    importOrder: { orders: [{ rowCount: 1, source: 'PAIN_001' }] },
  });
  expect(await send({ format: 'CSV', content: csvOf(1) })).toMatchObject({
    importOrder: { problems: [{ field: 'organizationIban', code: 'REQUIRED' }] },
  });
});

test('with BANK_RULES=sepa, what SEPA does not allow is a problem; otherwise a warning', async () => {
  const file = csvOf(1).replace('Jane Doe', 'Zoë').replace('E0', '/E0');
  const { url, client } = await startServer();
  const strict = await startServer({ BANK_RULES: 'sepa' });
  const importOn = async (server: { url: string }, one: typeof client) => {
    const response = await postFile(server.url, file, OF_ACME);
    const { orders } = (await response.json()) as { orders: { id: string }[] };
    return importedOrder(one, orders[0]?.id ?? '');
  };

  const lenient = await importOn({ url }, client);
  expect(lenient).toMatchObject({ problemCount: 0 });
  expect(lenient.warnings.nodes).toEqual([
    expect.objectContaining({ row: 0, line: 2, field: 'counterpartyName', code: 'NOT_SEPA' }),
    expect.objectContaining({ row: 0, line: 2, field: 'endToEndId', code: 'NOT_SEPA' }),
  ]);
  const refused = await importOn(strict, strict.client);
  expect(refused.problems.nodes).toEqual([
    expect.objectContaining({ field: 'counterpartyName', code: 'INVALID_CHARACTERS' }),
    expect.objectContaining({ field: 'endToEndId', code: 'INVALID_CHARACTERS' }),
  ]);
  expect(refused.warnings.nodes).toEqual([]);
});
