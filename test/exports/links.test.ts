/** Who may take a file: callers with a token, and everybody with a link, which gives exactly one file. */
import { expect, test } from 'vitest';
import {
  LINK_LIFE_MS,
  SignedExportLinks,
} from '../../src/infrastructure/files-out/export-links.js';
import { ACME, aBulk, aTransfer, GLOBEX, INITECH } from '../support/builders.js';
import { createExport, download } from '../support/exports.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { anOrder } from '../support/orders.js';
import { startServer } from '../support/server.js';

const DAYS = { from: '2026-01-01', to: '2099-12-31' };
const DAYS_QUERY = 'from=2026-01-01&to=2099-12-31';
const NOBODY = '01a2078e-0000-7000-8000-000000000000';

const codeOf = async (response: Response) => {
  const { errors } = (await response.json()) as {
    errors: { extensions: { code: string }; message: string }[];
  };
  return [response.status, errors[0]?.extensions.code];
};

async function startBank(env: NodeJS.ProcessEnv = {}) {
  const provider = await startIdentityProvider();
  const server = await startServer({ ...provider.env, LOG_LEVEL: 'trace', ...env });
  const operator = server.client.as(await provider.token({ roles: ['operator'] }));
  const organizationOf = async (iban: string) =>
    (await operator.data(`{ account(iban: "${iban}") { organizationId } }`)).account.organizationId;
  const tokenOf = async (iban: string, ...roles: string[]) =>
    provider.token({ org: await organizationOf(iban), roles, sub: `${roles}` });
  const token = await tokenOf(ACME, 'initiator');
  const client = server.client.as(token);
  const { bulkTransfer } = await client.perform(aBulk([aTransfer({ description: 'a salary' })]));
  const { id: orderId } = await anOrder(client, [aTransfer({ description: 'a salary' })]);
  const paths = [
    `/exports/statements/${ACME}.xml?${DAYS_QUERY}`,
    `/exports/statements/${ACME}.csv?${DAYS_QUERY}`,
    ...['xml', 'csv', 'html'].flatMap((format) => [
      `/exports/bulk-transfers/${bulkTransfer.id}.${format}`,
      `/exports/orders/${orderId}.${format}`,
    ]),
  ];
  const bulkId: string = bulkTransfer.id;
  return { ...server, client, operator, organizationOf, tokenOf, token, paths, bulkId, orderId };
}

test('every file is taken with a token, and has the headers of a download', async () => {
  const { url, token, paths } = await startBank();
  for (const path of paths) {
    const response = await download(url + path, token);
    expect([path, response.status]).toEqual([path, 200]);
    expect(response.headers.get('cache-control')).toBe('no-store');
    expect(response.headers.get('referrer-policy')).toBe('no-referrer');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    expect(response.headers.get('content-security-policy')).toMatch(
      /^default-src 'none'.*sandbox$/,
    );
    expect(response.headers.get('content-disposition')).toMatch(
      /^attachment; filename="[a-z]+(-[a-z]+)?-[A-Za-z0-9-]+\.(xml|csv|html)"$/,
    );
    expect(await response.text()).toMatch(/[0-9]\.00/);
  }
});

test('a file of another company is answered like a missing one', async () => {
  const { url, tokenOf, paths, bulkId, orderId, operator } = await startBank();
  const stranger = await tokenOf(GLOBEX, 'viewer', 'initiator');
  for (const path of paths) {
    const ofTheirs = await download(url + path, stranger);
    const missing = path
      .replace(ACME, 'NL91ABNA0417164300')
      .replace(bulkId, NOBODY)
      .replace(orderId, NOBODY);
    const absent = await download(url + missing, stranger);
    expect([path, ofTheirs.status, await ofTheirs.text()]).toEqual([
      path,
      404,
      await absent.text(),
    ]);
  }
  expect(await codeOf(await download(`${url}/exports/orders/x.csv`, stranger))).toEqual([
    404,
    'NOT_FOUND',
  ]);
  const { url: link } = await createExport(operator, { orderId, kind: 'TRANSFERS_CSV' });
  expect((await download(url + link)).status).toBe(200);
});

test('nobody takes a file without a token or with a role that reads no accounts', async () => {
  const { url, tokenOf, paths } = await startBank();
  const monitor = await tokenOf(ACME, 'monitor');
  for (const path of paths) {
    expect(await codeOf(await download(url + path))).toEqual([401, 'UNAUTHENTICATED']);
    expect(await codeOf(await download(url + path, monitor))).toEqual([403, 'FORBIDDEN']);
  }
});

test('a link gives its file without a token, for ten minutes', async () => {
  const { url, client, bulkId } = await startBank();
  const before = Date.now();
  const ready = await createExport(client, { bulkTransferId: bulkId, kind: 'TRANSFERS_CSV' });
  expect(ready.__typename).toBe('ExportReady');
  const life = Date.parse(ready.expiresAt) - before;
  expect(life).toBeGreaterThan(LINK_LIFE_MS - 5_000);
  expect(life).toBeLessThan(LINK_LIFE_MS + 60_000);

  const response = await download(url + ready.url);
  expect(response.status).toBe(200);
  expect(await response.text()).toContain('a salary');
});

test('a changed link is refused, whatever was changed', async () => {
  const { url, client, bulkId, orderId, organizationOf } = await startBank();
  const input = { accountIban: ACME, kind: 'STATEMENT_CSV', ...DAYS, timeZone: 'Europe/Berlin' };
  const { url: link } = await createExport(client, input);
  const { url: ofBulk } = await createExport(client, {
    bulkTransferId: bulkId,
    kind: 'TRANSFERS_CSV',
  });
  const later = (_: string, expires: string) => `expires=${Number(expires) + 1}`;
  const changed = [
    link.replace(ACME, GLOBEX),
    link.replace('.csv', '.xml'),
    link.replace('2026-01-01', '2026-01-02'),
    link.replace('Europe/Berlin', 'UTC'),
    link.replace(/expires=([0-9]+)/, later),
    link.replace(await organizationOf(ACME), await organizationOf(INITECH)),
    `${link}&to=2098-12-31`,
    link.replace('?', '?to=2098-12-31&'),
    link.slice(0, -1),
    `${link}A`,
    link.replace(/signature=./, (text: string) => `signature=${text.endsWith('A') ? 'B' : 'A'}`),
    link.replace(/signature=.*/, 'signature='),
    `${link}&signature=x`,
    ofBulk.replace(bulkId, NOBODY),
    ofBulk.replace(`bulk-transfers/${bulkId}`, `orders/${orderId}`),
    `/exports/orders/${orderId}.csv?${ofBulk.split('?')[1]}`,
  ];
  for (const path of changed) {
    expect([path, ...(await codeOf(await download(url + path)))]).toEqual([
      path,
      403,
      'LINK_INVALID',
    ]);
  }
  expect((await download(url + link)).status).toBe(200);
});

test('a link works on every server with the secret, until it expires', async () => {
  const secret = 'a secret that all servers of the bank have';
  const { url, bulkId, organizationOf } = await startBank({ EXPORT_LINK_SECRET: secret });
  const grant = {
    request: { kind: 'TRANSFERS_CSV', subject: { type: 'bulk-transfer', id: bulkId } },
    organizationId: await organizationOf(ACME),
  } as const;
  const signedAt = (moment: number, key = secret) =>
    url + new SignedExportLinks(key, () => new Date(moment)).sign(grant).url;

  expect((await download(signedAt(Date.now()))).status).toBe(200);
  expect(await codeOf(await download(signedAt(Date.now() - LINK_LIFE_MS - 60_000)))).toEqual([
    410,
    'LINK_EXPIRED',
  ]);
  expect(await codeOf(await download(signedAt(Date.now(), `${secret}.`)))).toEqual([
    403,
    'LINK_INVALID',
  ]);
  const ofOther = { ...grant, organizationId: await organizationOf(GLOBEX) };
  const foreign = new SignedExportLinks(secret, () => new Date()).sign(ofOther);
  expect(await codeOf(await download(url + foreign.url))).toEqual([404, 'NOT_FOUND']);
});

test('a link is not in the log, nor its signature', async () => {
  const { url, client, log, bulkId } = await startBank();
  const { url: link } = await createExport(client, {
    bulkTransferId: bulkId,
    kind: 'RECEIPT_HTML',
  });
  await (await download(url + link)).text();
  await download(`${url}${link}x`);
  await download(`${url}${link.replace('/exports/', '/export/')}`);

  await expect.poll(() => log.map(({ msg }) => msg)).toContain('Export');
  const signature = link.split('signature=')[1];
  expect(JSON.stringify(log)).not.toContain(signature);
});

test('who asked for a link is in the audit log', async () => {
  const { client, operator, bulkId, orderId, tokenOf } = await startBank();
  const viewer = client.as(await tokenOf(ACME, 'viewer'));
  await createExport(viewer, { bulkTransferId: bulkId, kind: 'RECEIPT_HTML' });
  await createExport(viewer, { orderId, kind: 'TRANSFERS_CSV' });
  await createExport(viewer, { accountIban: ACME, kind: 'STATEMENT_CSV', ...DAYS });
  await createExport(viewer, { orderId: NOBODY, kind: 'TRANSFERS_CSV' });

  const { auditLog } = await operator.data(
    '{ auditLog(first: 4) { nodes { action outcome actor accountId subjectId } } }',
  );
  const { account } = await client.data(`{ account(iban: "${ACME}") { id } }`);
  const done = { action: 'createExport', outcome: 'DONE', actor: 'viewer', accountId: account.id };
  expect(auditLog.nodes).toEqual([
    { ...done, outcome: 'ORDER_NOT_FOUND', accountId: null, subjectId: null },
    { ...done, subjectId: null },
    { ...done, subjectId: orderId },
    { ...done, subjectId: bulkId },
  ]);
});

test('an export that makes no sense is refused with its problems', async () => {
  const { client, bulkId, orderId, url, token } = await startBank();
  const kind = 'STATEMENT_CSV';
  const problemsOf = async (input: object) => {
    const { problems = [], code } = await createExport(client, input);
    const places = problems.map(
      (problem: { field: string; code: string }) => `${problem.field} ${problem.code}`,
    );
    return [code, ...places];
  };
  expect(await problemsOf({ kind })).toEqual(['INVALID_INPUT', 'accountIban REQUIRED']);
  expect(await problemsOf({ kind, accountIban: ACME })).toEqual([
    'INVALID_INPUT',
    'from REQUIRED',
    'to REQUIRED',
  ]);
  expect(await problemsOf({ kind, accountIban: ACME, orderId, ...DAYS })).toEqual([
    'INVALID_INPUT',
    'orderId TOO_MANY',
  ]);
  expect(await problemsOf({ kind: 'RECEIPT_HTML', accountIban: ACME })).toEqual([
    'INVALID_INPUT',
    'kind MISMATCH',
  ]);
  expect(await problemsOf({ kind, bulkTransferId: bulkId, ...DAYS })).toEqual([
    'INVALID_INPUT',
    'kind MISMATCH',
  ]);
  expect(await problemsOf({ kind: 'TRANSFERS_CSV', orderId, timeZone: 'UTC' })).toEqual([
    'INVALID_INPUT',
    'timeZone MISMATCH',
  ]);
  expect(
    await problemsOf({ kind, accountIban: ACME, from: '2026-01-02', to: '2026-01-01' }),
  ).toEqual(['INVALID_INPUT', 'from INVALID_DATE']);
  for (const timeZone of ['Mars/Olympus', '+01:00', '', 'Europe/Berlin ']) {
    expect(await problemsOf({ kind, accountIban: ACME, ...DAYS, timeZone })).toEqual([
      'INVALID_INPUT',
      'timeZone INVALID_TIME_ZONE',
    ]);
  }
  expect(await problemsOf({ kind: 'TRANSFERS_CSV', bulkTransferId: 'x' })).toEqual([
    'INVALID_INPUT',
    'bulkTransferId MISMATCH',
  ]);
  expect(await problemsOf({ kind, accountIban: 'NL91ABNA0417164300', ...DAYS })).toEqual([
    'ACCOUNT_NOT_FOUND',
  ]);
  for (const query of ['', '?from=2026-02-30&to=2026-03-01', `?${DAYS_QUERY}&from=2026-01-01`]) {
    const response = await download(`${url}/exports/statements/${ACME}.csv${query}`, token);
    expect(await codeOf(response)).toEqual([400, 'BAD_USER_INPUT']);
  }
  const unknown = await download(`${url}/exports/orders/${orderId}.pdf`, token);
  expect(await codeOf(unknown)).toEqual([404, 'NOT_FOUND']);
});
