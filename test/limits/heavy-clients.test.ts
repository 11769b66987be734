import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { ACME, aBulk, transfersOf } from '../support/builders.js';
import { PERFORM } from '../support/client.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { openConnection } from '../support/raw-connection.js';
import {
  BACKGROUND_STATEMENT,
  startServer,
  type TestServer,
  untilQuiet,
} from '../support/server.js';
import { subscribe } from '../support/subscriber.js';

const TYPENAME = '{ __typename }';

/** Returns a body whose variables no field uses. */
const withVariables = (variables: string) => `{"query":"${TYPENAME}","variables":${variables}}`;

async function codesOf(response: Response): Promise<unknown[]> {
  const { errors = [] } = (await response.json()) as {
    errors?: { extensions: { code: string } }[];
  };
  return [response.status, ...errors.map(({ extensions }) => extensions.code)];
}

describe('a request body', () => {
  test('with too many nested or listed values is refused before it is parsed', async () => {
    const { client, log } = await startServer();
    const nested = '['.repeat(1_000_000) + ']'.repeat(1_000_000);
    const countless = `[${'{},'.repeat(300_000)}{}]`;

    expect(await codesOf(await client.post(withVariables(`{"a":${nested}}`)))).toEqual([
      400,
      'JSON_TOO_DEEP',
    ]);
    expect(await codesOf(await client.post(withVariables(`{"a":${countless}}`)))).toEqual([
      400,
      'JSON_TOO_MANY_VALUES',
    ]);
    const text = JSON.stringify('['.repeat(1_000_000));
    expect(await codesOf(await client.post(withVariables(`{"a":${text}}`)))).toEqual([200]);
    expect(log).toEqual([]);
  });

  test('may have all the values that the largest bulk needs', async () => {
    const { client } = await startServer({ BULK_TRANSFERS_MAX: '3000' });

    expect(await client.perform(aBulk(transfersOf(3_000, '0.01')))).toMatchObject({
      __typename: 'BulkTransferPerformed',
    });
  });

  test('costs units by its bytes, and is not parsed if its caller has none left', async () => {
    const { client } = await startServer({
      OPERATION_COST_MAX: '150',
      RATE_LIMIT_COST_PER_SECOND: '1',
      RATE_LIMIT_BURST: '150',
    });
    const body = withVariables(`{"a":"${'x'.repeat(1_024_000)}"}`);

    const first = await client.post(body);
    expect(await first.json()).toMatchObject({ extensions: { cost: { requested: 100 } } });
    const second = await client.post(body);
    expect(second.headers.get('retry-after')).not.toBeNull();
    expect(await codesOf(second)).toEqual([429, 'RATE_LIMITED']);
  });

  test('counts towards the limit on bytes in progress, of which one caller has half', async () => {
    const provider = await startIdentityProvider();
    const { client, url } = await startServer({
      ...provider.env,
      BODY_LIMIT_BYTES: '1000000',
      BODIES_BYTES_MAX: '2000000',
    });
    const token = await provider.token({ sub: 'one' });
    const other = await provider.token({ sub: 'other' });
    const head = `POST /graphql HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 900000\r\n\r\n`;
    const half = `{"query":"${'x'.repeat(600_000)}`;

    const first = await openConnection(url);
    first.socket.write(head + half);
    // The second body has no room once the first one arrives.
    const second = await openConnection(url);
    second.socket.write(head + half);
    await expect
      .poll(() => [first.text, second.text].join(''))
      .toMatch(/^HTTP\/1.1 429 .*TOO_MANY_BODIES/s);

    const body = withVariables(`{"a":"${'x'.repeat(600_000)}"}`);
    expect(await codesOf(await client.as(other).post(body))).toEqual([200]);
    first.socket.destroy();
    second.socket.destroy();
    await expect.poll(async () => codesOf(await client.as(token).post(body))).toEqual([200]);
  });

  test('of an unauthenticated caller is not received', async () => {
    const provider = await startIdentityProvider();
    const { url } = await startServer(provider.env);

    for (const [path, type, status] of [
      ['/graphql', 'application/json', 401],
      ['/nowhere', 'application/json', 404],
      ['/nowhere', 'text/plain', 404],
    ] as const) {
      const connection = await openConnection(url);
      // The body of this request never comes.
      connection.socket.write(
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: 900000\r\n\r\n`,
      );
      await expect.poll(() => connection.text).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    }
  });
});

describe('a document', () => {
  test('has a limited number of bytes, whatever its tokens are', async () => {
    const { client } = await startServer();
    const comment = `# ${'x'.repeat(140_000)}\n${TYPENAME}`;

    expect((await client.send(comment)).errors?.[0]?.extensions).toEqual({
      code: 'OPERATION_TOO_LARGE',
      limit: 131_072,
      requested: comment.length,
    });
  });

  test('has names of limited length, unlike strings', async () => {
    const { client } = await startServer();

    for (const [length, code] of [
      [128, undefined],
      [129, 'NAME_TOO_LONG'],
    ] as const) {
      const answer = await client.send(`{ ${'a'.repeat(length)}: __typename }`);
      expect(answer.errors?.[0]?.extensions.code).toBe(code);
    }
    const inString = await client.send(`{ account(iban: "${'a'.repeat(500)}") { id } }`);
    expect(inString.errors).toBeUndefined();
  });
});

describe('an answer', () => {
  const LARGE = `{ account(iban: "${ACME}") { transfers(first: 100) { nodes {
    description counterpartyName id endToEndId } } } }`;

  test('that could be too long is refused before the operation runs', async () => {
    const { client } = await startServer({ ANSWER_BYTES_MAX: '65536' });

    const refused = await client.send(PERFORM, { input: aBulk(transfersOf(2)) });
    expect([refused.status, refused.errors?.[0]?.extensions]).toEqual([
      400,
      { code: 'ANSWER_TOO_LARGE', limit: 65_536, requested: expect.any(Number) },
    ]);
    expect(await client.balance(ACME)).toBe('100000.00');
    expect((await client.send(LARGE)).errors?.[0]?.extensions.code).toBe('ANSWER_TOO_LARGE');
    expect((await client.send(LARGE.replace('100', '30'))).status).toBe(200);
  });

  test("cuts the echo of a client's text, over every transport", async () => {
    const { client, url } = await startServer({ INTROSPECTION: 'false' });
    const hostile = 'Did you mean '.repeat(300_000);
    const query = 'query ($first: Int) { accounts(first: $first) { nodes { id } } }';

    const answers = [
      (await client.send(query, { first: hostile })).errors,
      (await client.send(PERFORM, { input: { [hostile.slice(0, 50_000)]: 1 } })).errors,
      (
        await client.send(
          `{ account(iban: 1, ${'x'.repeat(128)}: "${hostile.slice(0, 90_000)}") { id } }`,
        )
      ).errors,
    ];
    const response = await fetch(`${url}/graphql/stream`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        query: 'subscription ($iban: String!) { balanceUpdated(accountIban: $iban) { sequence } }',
        variables: { iban: [hostile] },
      }),
    });
    const [, data = '{}'] = /^data: (.*)$/m.exec(await response.text()) ?? [];
    answers.push(JSON.parse(data).errors);

    for (const errors of answers) {
      expect(errors?.length).toBeGreaterThan(0);
      for (const { message } of errors ?? []) expect(message.length).toBeLessThanOrEqual(200);
    }
  });
});

test('events cost units for their reads and wait if their caller has none left', async () => {
  const { client, url } = await startServer({
    RATE_LIMIT_COST_PER_SECOND: '1',
    RATE_LIMIT_BURST: '5000',
  });
  const pages = Array.from(
    { length: 20 },
    (_, index) => `a${index}: transfers(first: 100) { pageInfo { endCursor } }`,
  ).join(' ');
  const balance = (inner: string) =>
    `subscription { balanceUpdated(accountIban: "${ACME}") { sequence ${inner} } }`;
  // The query costs 2,031 units to start, and 2,018 for each event: a second event would need half an hour.
  const heavy = subscribe(url, balance(`account { ${pages} }`));
  await expect.poll(() => heavy.events.length).toBe(1);
  const light = subscribe(url, balance(''));
  await expect.poll(() => light.events.length).toBe(1);

  for (let count = 2; count <= 4; count += 1) {
    await client.perform(aBulk(transfersOf(1)));
    await expect.poll(() => light.events.length).toBe(count);
  }

  expect(heavy.events).toHaveLength(1);
  expect(heavy.errors).toEqual([]);
});

test('a name of millions of combining marks is refused by its length', async () => {
  const { client } = await startServer();
  // The composition of this name would take hours.
  const organizationName = '\u0300\u0316'.repeat(1_500_000);

  const answer = await client.perform(aBulk(transfersOf(1), { organizationName }));

  expect(answer.problems).toMatchObject([{ field: 'organizationName', code: 'MISMATCH' }]);
});

describe('a client that does not wait for its answer', () => {
  const NESTED = `{ accounts(first: 2) { nodes { transfers(first: 5) { nodes { bulkTransfer {
    transfers(first: 3) { nodes { account { entries(first: 3) { nodes { id } } } } } } } } } } }`;

  /** A number below that of the whole query, which reads a page, nested pages, and look-ups and pages in these. */
  const STATEMENTS_OF_ALL = 7;

  /** Counts statements, and holds each until the test releases them. */
  function holdStatements({ database }: TestServer) {
    const connection = database.orm.em.getConnection();
    const execute = connection.execute.bind(connection);
    let count = 0;
    let release: () => void = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    vi.spyOn(connection, 'execute').mockImplementation(async (...statement) => {
      if (!BACKGROUND_STATEMENT.test(String(statement[0]))) count += 1;
      await released;
      return execute(...statement);
    });
    onTestFinished(() => {
      release();
      vi.restoreAllMocks();
    });
    return {
      get count() {
        return count;
      },
      release,
    };
  }

  test('causes no further reads', async () => {
    const server = await startServer();
    await server.client.perform(aBulk(transfersOf(5)));
    // Once the bulk is published, the relay reads nothing more for it.
    await untilQuiet(server);
    const held = holdStatements(server);
    const { socket } = await openConnection(server.url);
    const closed = new Promise<void>((resolve) => {
      server.http.server.once('request', ({ socket: served }) => served.once('close', resolve));
    });
    const body = JSON.stringify({ query: NESTED });
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    await expect.poll(() => held.count).toBe(1);

    socket.destroy();
    await closed;
    held.release();

    // The other client's reads come after all reads that the first one would have needed.
    await server.client.balance(ACME);
    await server.client.balance(ACME);
    expect(held.count).toBeLessThan(STATEMENTS_OF_ALL);
    expect(server.log).toEqual([]);
  });

  test('causes no further reads after its timeout', async () => {
    const server = await startServer({ REQUEST_TIMEOUT_MS: '1000', LOCK_TIMEOUT_MS: '1000' });
    await server.client.perform(aBulk(transfersOf(5)));
    // Once the bulk is published, the relay reads nothing more for it.
    await untilQuiet(server);
    const held = holdStatements(server);

    const answer = await server.client.send(NESTED);
    expect([answer.status, answer.errors?.[0]?.extensions.code]).toEqual([503, 'TIMEOUT']);
    held.release();

    await server.client.balance(ACME);
    await server.client.balance(ACME);
    expect(held.count).toBeLessThan(STATEMENTS_OF_ALL);
  });
});
