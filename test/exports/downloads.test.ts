/** Downloads: days in a time zone, large files at the pace of their reader, and the places that they take. */
import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { makeNewId } from '../../src/domain/id.js';
import { Account } from '../../src/entities/account.entity.js';
import { LedgerEntry } from '../../src/entities/ledger-entry.entity.js';
import { ACME, transfersOf } from '../support/builders.js';
import { assertValidXml, contentsOf, download, exportFile } from '../support/exports.js';
import { addOrderRows, anOrder, replaceOrderRow } from '../support/orders.js';
import { startServer, startServerOn, type TestServer } from '../support/server.js';
import { createMigratedDatabase } from '../support/test-database.js';

/** Starts a server whose ledger the test writes itself, so it is not verified. */
async function startUnverified(env: NodeJS.ProcessEnv = {}): Promise<TestServer> {
  const database = await createMigratedDatabase();
  const server = await startServerOn(database, env);
  onTestFinished(async () => {
    await server.close();
    await database.drop();
  });
  return server;
}

const newId = makeNewId(() => new Date());

/** Writes entries of one cent each after the entries of ACME, at given times. */
async function writeEntries({ database }: TestServer, times: readonly Date[]): Promise<void> {
  const em = database.orm.em.fork();
  const account = await em.findOneOrFail(Account, { iban: ACME });
  const entries = times.map((at) => {
    account.balanceMinor += 1n;
    account.sequence += 1n;
    const { sequence, balanceMinor } = account;
    const posting = { sequence, amountMinor: 1n, balanceAfterMinor: balanceMinor, at };
    const facts = {
      id: newId(),
      kind: 'INCOMING_TRANSFER',
      description: `Entry ${sequence}`,
    } as const;
    return LedgerEntry.of(account, posting, facts);
  });
  for (let start = 0; start < entries.length; start += 500) {
    await em.insertMany(LedgerEntry, entries.slice(start, start + 500));
  }
  await em.flush();
}

/** Moves the opening entry of ACME to a time before all others. */
async function openAt({ database }: TestServer, at: Date): Promise<void> {
  await database.orm.em.fork().nativeUpdate(LedgerEntry, {}, { createdAt: at });
}

const statementPath = (kind: 'xml' | 'csv', days: string) =>
  `/exports/statements/${ACME}.${kind}?${days}`;

const ALL_DAYS = 'from=2020-01-01&to=2099-12-31';

test('a statement has the entries of its days in its time zone, also when the clocks change', async () => {
  const server = await startUnverified();
  await openAt(server, new Date('2026-01-01'));
  const times = [
    // The last and the first moment of 29 March in Berlin, which has 23 hours.
    '2026-03-28T22:59:59.999Z',
    '2026-03-28T23:00:00.000Z',
    '2026-03-29T21:59:59.999Z',
    '2026-03-29T22:00:00.000Z',
    // 25 October has 25 hours.
    '2026-10-24T21:59:59.999Z',
    '2026-10-24T22:00:00.000Z',
    '2026-10-25T22:59:59.999Z',
    '2026-10-25T23:00:00.000Z',
  ];
  await writeEntries(
    server,
    times.map((time) => new Date(time)),
  );
  const entriesOf = async (day: string, timeZone: string) => {
    const xml = await exportFile(server.client, {
      ...{ accountIban: ACME, kind: 'STATEMENT_CAMT_053', from: day, to: day, timeZone },
    });
    assertValidXml(xml, 'camt.053.001.08');
    for (const date of contentsOf(xml, 'BookgDt')) expect(date).toBe(`<Dt>${day}</Dt>`);
    const [opening, closing] = contentsOf(xml, 'Bal').map(
      (balance) => contentsOf(balance, 'Amt')[0],
    );
    return { sequences: contentsOf(xml, 'NtryRef'), opening, closing };
  };

  expect(await entriesOf('2026-03-29', 'Europe/Berlin')).toEqual({
    ...{ sequences: ['3', '4'], opening: '100000.01', closing: '100000.03' },
  });
  expect(await entriesOf('2026-10-25', 'Europe/Berlin')).toEqual({
    ...{ sequences: ['7', '8'], opening: '100000.05', closing: '100000.07' },
  });
  expect((await entriesOf('2026-03-29', 'UTC')).sequences).toEqual(['4', '5']);
  expect((await entriesOf('2026-03-28', 'Europe/Berlin')).sequences).toEqual(['2']);
  expect((await entriesOf('2026-03-30', 'Europe/Berlin')).sequences).toEqual(['5']);
});

const ENTRIES = 20_000;

/** Starts a download, and pauses before its first byte. */
async function openDownload(
  url: string,
): Promise<{ request: ClientRequest; response: IncomingMessage }> {
  const request = get(url, { agent: false });
  request.on('error', () => {});
  onTestFinished(() => {
    request.destroy();
  });
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => {});
  return { request, response };
}

/** Matches the statement of a page of entries. The indexer and the relay read entries in another way. */
const PAGE_OF_ENTRIES =
  /^select `l0`\.\* from `ledger_entry`.* order by `l0`\.`sequence` asc limit/;

/** Counts the statements that read pages of entries. */
function countReads({ database }: TestServer): () => number {
  let reads = 0;
  const connection = database.orm.em.getConnection();
  const execute = connection.execute.bind(connection);
  connection.execute = (statement: string, ...rest: never[]) => {
    if (PAGE_OF_ENTRIES.test(String(statement))) reads += 1;
    return execute(statement, ...rest);
  };
  return () => reads;
}

/** Waits until a count has not grown for a while. @returns the count */
async function untilStill(count: () => number): Promise<number> {
  for (;;) {
    const before = count();
    await sleep(1_500);
    if (count() === before) return before;
  }
}

test('a large statement is read at the pace of its client, and is complete', async () => {
  const server = await startUnverified();
  await writeEntries(
    server,
    Array.from({ length: ENTRIES }, () => new Date()),
  );
  const reads = countReads(server);
  const { response } = await openDownload(server.url + statementPath('xml', ALL_DAYS));

  // A client that does not read: the server stops after what fits into the buffers of the connection.
  expect(await untilStill(reads)).toBeLessThan((ENTRIES / 500) * 0.9);

  // An entry that is added meanwhile is not in the file.
  await server.client.data(`mutation { creditAccount(input: { iban: "${ACME}", amount: "1",
    description: "late" }) { __typename } }`);
  let xml = '';
  for await (const chunk of response.setEncoding('utf8')) xml += chunk;
  assertValidXml(xml, 'camt.053.001.08');
  expect(contentsOf(xml, 'NtryRef')).toHaveLength(ENTRIES + 1);
  expect(contentsOf(xml, 'Amt').slice(0, 2)).toEqual(['0.00', '100200.00']);
  expect(xml).not.toContain('late');
  expect(reads()).toBeGreaterThanOrEqual(ENTRIES / 500);
});

test('a client that disconnects frees its place, and nothing more is read for it', async () => {
  const server = await startUnverified();
  await writeEntries(
    server,
    Array.from({ length: ENTRIES }, () => new Date()),
  );
  const path = server.url + statementPath('xml', ALL_DAYS);
  const opened = await Promise.all(Array.from({ length: 4 }, () => openDownload(path)));

  const refused = await download(path);
  expect(refused.status).toBe(429);
  expect(refused.headers.get('retry-after')).toBe('10');
  expect(await refused.json()).toMatchObject({
    errors: [{ extensions: { code: 'TOO_MANY_EXPORTS', limit: 4 } }],
  });
  opened[0]?.request.destroy();
  await expect
    .poll(async () => {
      const again = await openDownload(path);
      opened.push(again);
      return again.response.statusCode;
    })
    .toBe(200);
  for (const { request } of opened) request.destroy();
  expect(await untilStill(countReads(server))).toBeLessThan(ENTRIES / 500);
});

test('a download lasts longer than a request may, as long as its client reads', async () => {
  const server = await startUnverified({ REQUEST_TIMEOUT_MS: '1000', LOCK_TIMEOUT_MS: '1000' });
  await writeEntries(
    server,
    Array.from({ length: ENTRIES }, () => new Date()),
  );
  const { response } = await openDownload(server.url + statementPath('xml', ALL_DAYS));
  // The request timeout is at least LOCK_TIMEOUT_MS and five seconds.
  await sleep(7_000);

  let bytes = 0;
  for await (const chunk of response) bytes += chunk.length;
  expect(bytes).toBeGreaterThan(5_000_000);
  expect(response.complete).toBe(true);
});

test('a caller without units waits for each page, and is not refused in the middle', async () => {
  const server = await startUnverified({
    RATE_LIMIT_COST_PER_SECOND: '20',
    RATE_LIMIT_BURST: '20',
    OPERATION_COST_MAX: '20',
  });
  await writeEntries(
    server,
    Array.from({ length: 3_000 }, () => new Date()),
  );
  const startedAt = performance.now();
  const response = await download(server.url + statementPath('csv', ALL_DAYS));

  expect((await response.text()).split('\r\n')).toHaveLength(3_003);
  // 7 pages of 500 rows cost 35 units.
  expect(performance.now() - startedAt).toBeGreaterThan(500);
});

test('the file of an order that changes meanwhile is not completed', async () => {
  const server = await startServer();
  // The file is larger than the buffers of a connection, so it is not sent before its client reads.
  const rows = transfersOf(10_000, '0.01').map((row) => ({ ...row, description: 'x'.repeat(140) }));
  const { id } = await anOrder(server.client, rows);
  await addOrderRows(server.client, id, rows, 1);
  const { response } = await openDownload(`${server.url}/exports/orders/${id}.xml`);
  await replaceOrderRow(server.client, id, 9_999, transfersOf(1)[0] ?? {});

  response.resume();
  await new Promise((resolve) => response.once('close', resolve));
  expect(response.complete).toBe(false);
});

test('a download at a low speed goes on, and one that nearly stands still is cut', async () => {
  const server = await startUnverified({ SEND_TIMEOUT_MS: '1000', LOG_LEVEL: 'info' });
  await writeEntries(
    server,
    Array.from({ length: ENTRIES }, () => new Date()),
  );
  const path = server.url + statementPath('xml', ALL_DAYS);
  const outcomes = () =>
    server.log.filter(({ msg }) => msg === 'Export').map(({ outcome }) => outcome);
  /** Reads some bytes after each pause. */
  const read = async (bytesAtOnce: number, pauseMs: number) => {
    const { response } = await openDownload(path);
    let left = bytesAtOnce;
    response.on('data', (chunk) => {
      left -= chunk.length;
      if (left > 0) return;
      left = bytesAtOnce;
      pauses += 1;
      response.pause();
      setTimeout(() => response.resume(), pauseMs);
    });
  };
  let pauses = 0;

  await read(400_000, 150);
  await expect.poll(outcomes, { timeout: 60_000 }).toEqual(['OK']);
  // The download took longer than SEND_TIMEOUT_MS.
  expect(pauses * 150).toBeGreaterThan(1_000);
  await read(1, 500);
  await expect.poll(outcomes, { timeout: 14_000 }).toEqual(['OK', 'ABANDONED']);
});
