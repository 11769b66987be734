import { readFile } from 'node:fs/promises';
import { type IncomingHttpHeaders, request } from 'node:http';
import { connect } from 'node:net';
import { brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { ACME, aBulk, aTransfer, PAYROLL, transfersOf } from '../support/builders.js';
import { PERFORM } from '../support/client.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { openConnection } from '../support/raw-connection.js';
import { startServer } from '../support/server.js';

test('both media types of GraphQL over HTTP are supported', async () => {
  const { client } = await startServer();

  for (const accept of ['application/json', 'application/graphql-response+json']) {
    const response = await client.post(JSON.stringify({ query: '{ __typename }' }), { accept });
    expect(response.status).toBe(200);
    expect(response.headers.get('content-type')).toBe(`${accept}; charset=utf-8`);
    expect(await response.json()).toEqual({
      data: { __typename: 'Query' },
      extensions: { cost: { requested: 1, left: null } },
    });
  }
});

test('a body that is not JSON is answered with 400 and the position of the error', async () => {
  const { client } = await startServer();

  for (const [body, place] of [
    ['{"query": "{ __typename }"', 'position 26 (line 1 column 27)'],
    ['{"query": }', `Unexpected token '}'`],
    ['', 'Unexpected end of JSON input'],
  ] as const) {
    const response = await client.post(body);
    expect(response.status).toBe(400);
    const { errors } = (await response.json()) as { errors: { message: string }[] };
    expect(errors[0]).toMatchObject({
      message: expect.stringContaining(place),
      extensions: { code: 'BAD_REQUEST' },
    });
  }
});

test('JSON that is not a GraphQL request is answered with 400', async () => {
  const { client } = await startServer();

  for (const body of ['[]', 'null', '"x"', '{}', '{"query":5}', '{"query":"{a}","variables":5}']) {
    const response = await client.post(body);
    expect([body, response.status]).toEqual([body, 400]);
  }
});

test('wrong types and unknown fields are answered with 400 and a message that names the place', async () => {
  const { client } = await startServer();
  const input = aBulk([aTransfer(), aTransfer({ amount: 14.5 })]);

  const wrongType = await client.send(PERFORM, { input });
  expect(wrongType.status).toBe(400);
  expect(wrongType.errors?.[0]).toMatchObject({
    message: expect.stringContaining('"input.creditTransfers[1].amount"'),
    extensions: { code: 'BAD_USER_INPUT' },
  });

  const unknownInput = await client.send(PERFORM, { input: { ...PAYROLL, oops: 1 } });
  expect(unknownInput.status).toBe(400);
  expect(unknownInput.errors?.[0]?.message).toContain('"oops"');

  const missing = await client.send(PERFORM, { input: { organizationIban: 'x' } });
  expect(missing.status).toBe(400);
  expect(missing.errors?.[0]?.message).toContain('creditTransfers');

  const unknownField = await client.send('{ accounts { oops } }');
  expect(unknownField.status).toBe(400);
  expect(unknownField.errors?.[0]).toMatchObject({
    message: expect.stringContaining('"oops"'),
    extensions: { code: 'GRAPHQL_VALIDATION_FAILED' },
  });

  const syntax = await client.send('{ accounts {');
  expect(syntax.status).toBe(400);
  expect(syntax.errors?.[0]?.extensions.code).toBe('GRAPHQL_PARSE_FAILED');
});

test('a body over the limit is answered with 413, and the server continues', async () => {
  const { client } = await startServer({ BODY_LIMIT_BYTES: '2048' });

  const response = await client.post(
    JSON.stringify({ query: PERFORM, variables: { input: aBulk(transfersOf(50)) } }),
  );

  expect(response.status).toBe(413);
  expect(await response.json()).toMatchObject({
    errors: [{ extensions: { code: 'PAYLOAD_TOO_LARGE' } }],
  });
  expect(await client.perform(PAYROLL)).toMatchObject({ __typename: 'BulkTransferPerformed' });
});

test('a body that is not UTF-8 is answered with 400, and no letter of a name is replaced', async () => {
  const { url, client } = await startServer();
  const body = JSON.stringify({ query: PERFORM, variables: { input: PAYROLL } });

  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: Buffer.from(body.replace('Bip Bip', 'Zo\xeb'), 'latin1'),
  });

  expect(response.status).toBe(400);
  expect(await client.balance(ACME)).toBe('100000.00');
});

test('a subscription over POST is refused with the address for subscriptions', async () => {
  const { client } = await startServer();

  const answer = await client.send(
    `subscription { balanceUpdated(accountIban: "${ACME}") { sequence } }`,
  );

  expect(answer.status).toBe(400);
  expect(answer.errors?.[0]).toMatchObject({
    message: expect.stringContaining('WebSocket'),
    extensions: { code: 'BAD_REQUEST' },
  });
});

test('another media type is answered with 415 and another path with 404, as GraphQL errors', async () => {
  const { client, url } = await startServer();

  const form = await client.post('a=b', { 'content-type': 'application/x-yaml' });
  expect(form.status).toBe(415);
  expect(await form.json()).toMatchObject({
    errors: [{ extensions: { code: 'UNSUPPORTED_MEDIA_TYPE' } }],
  });
  const nowhere = await fetch(`${url}/nowhere`);
  expect(nowhere.status).toBe(404);
  expect(await nowhere.json()).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });
});

test('a simple request, which a page of another origin could send, is refused', async () => {
  const { client } = await startServer();

  const response = await client.post(JSON.stringify({ query: '{ __typename }' }), {
    'content-type': 'text/plain',
  });

  expect([400, 415]).toContain(response.status);
});

test('a mutation by GET is refused', async () => {
  const { url } = await startServer();

  const response = await fetch(
    `${url}/graphql?query=${encodeURIComponent('mutation { __typename }')}`,
    { headers: { 'apollo-require-preflight': 'true' } },
  );

  expect(response.status).toBe(405);
});

test('a Host header that is not part of a valid URL is answered with 400', async () => {
  const provider = await startIdentityProvider();
  const token = await provider.token();
  const { url } = await startServer(provider.env);
  const socket = connect(Number(new URL(url).port), '127.0.0.1');

  const status = await new Promise<string>((resolve, reject) => {
    socket.once('error', reject);
    socket.once('data', (data) => resolve(data.toString().split('\r\n')[0] ?? ''));
    socket.write(
      `POST /graphql HTTP/1.1\r\nHost: [::\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
    );
  });
  socket.destroy();

  expect(status).toBe('HTTP/1.1 400 Bad Request');
});

test('an unexpected error is masked, with a request id that the log has too', async () => {
  const server = await startServer();
  const sql = (statement: string) => server.database.orm.em.fork().execute(statement);
  await sql(
    `create trigger broken before insert on transfer begin select raise(abort, 'broken'); end`,
  );

  const answer = await server.client.send(PERFORM, { input: PAYROLL });
  await sql('drop trigger broken');

  expect(answer.data).toBeNull();
  expect(answer.errors).toHaveLength(1);
  const [error] = answer.errors ?? [];
  expect(error?.extensions).toEqual({
    code: 'INTERNAL_SERVER_ERROR',
    requestId: answer.headers.get('x-request-id'),
  });
  expect(JSON.stringify(answer.errors)).not.toMatch(
    /broken|outbox|insert|select|node_modules|\.js/i,
  );
  // The client's text is not in the log either.
  for (const secret of ['Bugs Bunny', 'NL91ABNA0417164300', '37748']) {
    expect(JSON.stringify(server.log)).not.toContain(secret);
  }
  expect(server.log).toContainEqual(
    expect.objectContaining({ level: 50, requestId: error?.extensions.requestId }),
  );
  expect(await server.client.perform(PAYROLL)).toMatchObject({
    __typename: 'BulkTransferPerformed',
    account: { sequence: '2' },
  });
});

test('the served schema equals the committed one', async () => {
  const { url } = await startServer();

  const served = await (await fetch(`${url}/schema.graphql`)).text();

  expect(served).toBe(await readFile('src/schema/schema.graphql', 'utf8'));
});

test('the root links to all pages', async () => {
  const { url } = await startServer();

  const page = await (await fetch(url)).text();
  const links = [...page.matchAll(/href="([^"]+)"/g)].map(([, path]) => path ?? '');

  expect(links).toEqual([
    '/favicon.svg',
    '/graphiql/',
    '/graphql',
    '/schema.graphql',
    '/livez',
    '/readyz',
    '/metrics',
  ]);
  for (const path of links) {
    const response = await fetch(url + path, { headers: { accept: 'text/html' } });
    expect([path, response.status]).toEqual([path, 200]);
  }
});

/** A bulk with a large body and a large answer, which compress well. */
const LARGE = { input: aBulk(transfersOf(100)) };

describe('a body with Content-Encoding', () => {
  const body = JSON.stringify({ query: PERFORM, variables: LARGE });
  const post = (url: string, encoding: string, bytes: NonNullable<RequestInit['body']>) =>
    fetch(`${url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-encoding': encoding },
      body: bytes,
    });

  test.each(['gzip', 'GZIP', 'x-gzip'])('in %s is decoded', async (encoding) => {
    const { url } = await startServer();

    const response = await post(url, encoding, gzipSync(body));

    expect(await response.json()).toMatchObject({
      data: { performBulkTransfer: { __typename: 'BulkTransferPerformed' } },
    });
  });

  test.each(['br', 'deflate', 'zstd', 'gzip, gzip', 'identity, gzip', 'constructor'])(
    'in %s is refused with the supported encodings',
    async (encoding) => {
      const { url } = await startServer();

      const response = await post(url, encoding, gzipSync(body));

      expect([response.status, response.headers.get('accept-encoding')]).toEqual([415, 'gzip']);
      expect(await response.json()).toMatchObject({
        errors: [{ extensions: { code: 'UNSUPPORTED_CONTENT_ENCODING' } }],
      });
    },
  );

  test('in identity is read unchanged', async () => {
    const { url } = await startServer();

    expect((await post(url, 'identity', '{"query":"{__typename}"}')).status).toBe(200);
  });

  test.each([
    ['is not gzip', Buffer.from(body)],
    ['ends early', gzipSync(body).subarray(0, 100)],
    ['is broken in the middle', Buffer.concat([gzipSync(body).subarray(0, 60), Buffer.alloc(99)])],
    ['is empty', Buffer.alloc(0)],
  ])('of gzip that %s is refused', async (_, bytes) => {
    const { url, log, client } = await startServer();

    const response = await post(url, 'gzip', bytes);

    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      errors: [{ extensions: { code: 'BAD_REQUEST' } }],
    });
    expect(log).toEqual([]);
    expect((await client.send('{ __typename }')).status).toBe(200);
  });

  test.each([
    ['more bytes than a body may have', 413, 'PAYLOAD_TOO_LARGE', ' '.repeat(30_000_000)],
    ['more values than a body may have', 400, 'JSON_TOO_MANY_VALUES', `[${'0,'.repeat(900_000)}0]`],
    ['too many levels', 400, 'JSON_TOO_DEEP', '['.repeat(100_000)],
  ])('of gzip that contains %s is refused', async (_, status, code, text) => {
    const { url } = await startServer();
    const bomb = gzipSync(text);
    expect(bomb.length).toBeLessThan(50_000);

    const response = await post(url, 'gzip', bomb);

    expect(response.status).toBe(status);
    expect(await response.json()).toMatchObject({ errors: [{ extensions: { code } }] });
  });

  test('costs its size after decompression', async () => {
    const { url, client } = await startServer({ RATE_LIMIT_COST_PER_SECOND: '1' });
    const left = async () =>
      (
        (await (await client.post('{"query":"{__typename}"}')).json()) as {
          extensions: { cost: { left: number } };
        }
      ).extensions.cost.left;
    const before = await left();

    await post(
      url,
      'gzip',
      gzipSync(JSON.stringify({ query: '{ __typename }', x: 'x'.repeat(5_000_000) })),
    );

    expect(before - (await left())).toBeGreaterThan(400);
  });
});

describe('an answer', () => {
  const ask = (url: string, encodings: string, query: string) =>
    new Promise<{ headers: IncomingHttpHeaders; bytes: Buffer }>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'accept-encoding': encodings };
      const asked = request(`${url}/graphql`, { method: 'POST', headers }, async (response) => {
        const chunks = await response.toArray();
        resolve({ headers: response.headers, bytes: Buffer.concat(chunks) });
      });
      asked.on('error', reject).end(JSON.stringify({ query }));
    });
  const SCHEMA = '{ __schema { types { name fields { name description } } } }';

  test.each([
    ['gzip', 'gzip', gunzipSync],
    ['br', 'br', brotliDecompressSync],
    ['gzip, deflate, br', 'br', brotliDecompressSync],
    ['br;q=0, gzip;q=0.5', 'gzip', gunzipSync],
    ['BR ; Q=0.1, gzip;q=0.5', 'gzip', gunzipSync],
    ['br;q=0, *', 'gzip', gunzipSync],
    ['*', 'br', brotliDecompressSync],
    ['identity;q=0', 'gzip', gunzipSync],
    ['br, *;q=0', 'br', brotliDecompressSync],
  ])('is compressed for a client that accepts %s', async (encodings, encoding, decompress) => {
    const { url } = await startServer();
    const plain = await ask(url, 'identity', SCHEMA);

    const { headers, bytes } = await ask(url, encodings, SCHEMA);

    expect(headers).toMatchObject({
      'content-encoding': encoding,
      'content-length': String(bytes.length),
      vary: expect.stringContaining('accept-encoding'),
    });
    expect(decompress(bytes).toString()).toBe(plain.bytes.toString());
    expect(bytes.length).toBeLessThan(plain.bytes.length / 3);
  });

  test('of a few bytes is compressed for a client that refuses identity', async () => {
    const { url } = await startServer();
    for (const encodings of ['gzip, identity;q=0', 'gzip;q=0.1, *;q=0', 'identity;q=0']) {
      const { headers, bytes } = await ask(url, encodings, '{ __typename }');

      expect(headers).toMatchObject({
        'content-encoding': 'gzip',
        vary: expect.stringContaining('accept-encoding'),
      });
      expect(JSON.parse(gunzipSync(bytes).toString())).toHaveProperty('data');
    }
  });

  test.each([
    ['for a client that refuses every encoding', '*;q=0', SCHEMA],
    ['of a few bytes', 'gzip, br', '{ __typename }'],
    ['for a client that accepts no supported encoding', 'deflate, gzip;q=0', SCHEMA],
  ])('%s is not compressed', async (_, encodings, query) => {
    const { url } = await startServer();

    const { headers, bytes } = await ask(url, encodings, query);

    expect(headers['content-encoding']).toBeUndefined();
    expect(JSON.parse(bytes.toString())).toHaveProperty('data');
  });

  test('with a stream of events is not compressed, and no proxy may change it', async () => {
    const { url } = await startServer();
    const query = encodeURIComponent(
      `subscription { balanceUpdated(accountIban: "${ACME}") { sequence } }`,
    );

    const response = await fetch(`${url}/graphql/stream?query=${query}`, {
      headers: { 'accept-encoding': 'gzip, br' },
    });

    expect(response.headers.get('content-encoding')).toBeNull();
    expect(response.headers.get('cache-control')).toBe('no-cache, no-transform');
    await response.body?.cancel();
  });
});

test.each(['/%E0%A4%A', '/graphql/%', '/%'])(
  'the address %s is refused with an error in the usual form',
  async (path) => {
    const { url, log } = await startServer();
    const connection = await openConnection(url);

    connection.socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`);
    await connection.closed;

    expect(connection.text).toMatch(/^HTTP\/1\.1 400 /);
    expect(connection.text).toMatch(/^x-content-type-options: nosniff/m);
    expect(connection.text).toMatch(/^x-request-id: [0-9a-f-]{36}/m);
    expect(connection.text).toContain('"extensions":{"code":"BAD_REQUEST"}');
    expect(log).toEqual([]);
  },
);

test('files with a hash in their names are cached forever, and pages are not', async () => {
  const { url } = await startServer();
  const page = await fetch(`${url}/graphiql/`);
  const asset = /src="\.\/(assets\/[^"]+)"/.exec(await page.text())?.[1];

  const script = await fetch(`${url}/graphiql/${asset}`);

  expect([script.status, script.headers.get('cache-control')]).toEqual([
    200,
    'public, max-age=31536000, immutable',
  ]);
  expect(page.headers.get('cache-control')).toBe('no-cache');
  expect(page.headers.get('etag')).not.toBeNull();
});

describe('a file of GraphiQL', () => {
  const get = (address: string, encodings: string) =>
    new Promise<{ headers: IncomingHttpHeaders; bytes: Buffer }>((resolve, reject) => {
      const headers = { 'accept-encoding': encodings };
      const asked = request(address, { headers }, async (response) => {
        const chunks = await response.toArray();
        resolve({ headers: response.headers, bytes: Buffer.concat(chunks) });
      });
      asked.on('error', reject).end();
    });
  /** Returns the addresses of the scripts and styles in the page that a browser gets. */
  const assetsOf = async (url: string) => {
    const page = await get(`${url}/graphiql/`, 'gzip, deflate, br, zstd');
    const names = [
      ...page.bytes.toString().matchAll(/(?:src|href)="\.\/(assets\/graphiql-[^"]+\.(?:js|css))"/g),
    ];
    expect(names).toHaveLength(2);
    return names.map(([, name]) => `${url}/graphiql/${name}`);
  };

  test.each([
    ['gzip', 'gzip', gunzipSync],
    ['gzip, deflate, br, zstd', 'br', brotliDecompressSync],
    ['br;q=0, gzip;q=0.5', 'gzip', gunzipSync],
  ])('is compressed for a client that accepts %s', async (encodings, encoding, decompress) => {
    const { url } = await startServer();
    for (const address of await assetsOf(url)) {
      const plain = await get(address, 'identity');

      const { headers, bytes } = await get(address, encodings);

      expect(plain.headers['content-encoding']).toBeUndefined();
      expect(headers).toMatchObject({
        'content-encoding': encoding,
        'content-length': String(bytes.length),
        'content-type': plain.headers['content-type'],
        'cache-control': 'public, max-age=31536000, immutable',
      });
      // A cache on the path must know that either answer depends on the header.
      for (const { vary } of [headers, plain.headers]) {
        expect(vary?.toLowerCase()).toContain('accept-encoding');
      }
      expect(headers.etag).not.toBe(plain.headers.etag);
      expect(decompress(bytes).equals(plain.bytes)).toBe(true);
      expect(bytes.length).toBeLessThan(plain.bytes.length);
    }
  });
});
