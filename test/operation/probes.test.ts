import { once } from 'node:events';
import { request } from 'node:http';
import { expect, onTestFinished, test, vi } from 'vitest';
import { aBulk, aTransfer } from '../support/builders.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { runScript } from '../support/process.js';
import { startDatabaseProxy } from '../support/proxy.js';
import { openConnection } from '../support/raw-connection.js';
import { readinessOf } from '../support/readiness.js';
import { startServer, startServerOn } from '../support/server.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

const statusOf = async (url: string, headers: Record<string, string> = {}) =>
  (await fetch(url, { headers })).status;

/** Starts a server, with a proxy to its database if that is a separate server. */
async function startBehindProxy() {
  const database = await createMigratedDatabase();
  const { proxy, databaseUrl } = await startDatabaseProxy(database.url);
  const server = await startServerOn({ ...database, url: databaseUrl });
  onTestFinished(async () => {
    await proxy.goDown();
    await server.close().catch(() => {});
    await database.drop();
  });
  return { server, proxy };
}

test('a server that can take bulks is ready and reports the state of each part', async () => {
  const { url } = await startServer();

  await expect
    .poll(() => readinessOf(url))
    .toEqual({
      code: 200,
      status: 'ok',
      parts: {
        server: { status: 'ok' },
        database: { status: 'ok' },
        broker: { status: 'ok' },
        relay: { status: 'ok' },
        search: { status: 'ok' },
      },
    });
});

test('a server whose broker is unreachable is degraded and stays ready', async () => {
  const { url } = await startServer({ AMQP_URL: 'amqp://guest:hunter2@127.0.0.1:1' });

  const readiness = await readinessOf(url);

  expect(readiness).toMatchObject({
    code: 200,
    status: 'degraded',
    parts: {
      database: { status: 'ok' },
      broker: { status: 'degraded', reasons: ['UNREACHABLE'] },
      relay: { status: 'degraded', reasons: ['BACKLOG'] },
    },
  });
  expect(JSON.stringify(readiness)).not.toMatch(/hunter2|127\.0\.0\.1/);
});

test('a server without its database is alive and not ready', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const { url, http, database: opened } = await startServerOn(database);
  await opened.close();
  // The relay's next poll would connect again.
  const connection = opened.orm.em.getConnection();
  vi.spyOn(connection, 'ensureConnection').mockRejectedValue(new Error('The database is away'));

  expect(await readinessOf(url)).toMatchObject({
    code: 503,
    status: 'unavailable',
    parts: { database: { status: 'unavailable', reasons: ['UNREACHABLE'] } },
  });
  for (const path of ['/livez', '/healthz']) {
    const response = await fetch(url + path);
    expect([path, response.status, await response.json()]).toEqual([path, 200, { status: 'ok' }]);
  }
  await http.close();
});

test.runIf(DIALECT === 'mysql')(
  'a server is ready again when its database is back, also after it hung',
  async () => {
    const { server, proxy } = await startBehindProxy();
    const databaseOf = async () => (await readinessOf(server.url)).parts.database;
    expect(await databaseOf()).toEqual({ status: 'ok' });

    await proxy.goDown();
    expect(await databaseOf()).toEqual({ status: 'unavailable', reasons: ['UNREACHABLE'] });
    await proxy.goUp();
    await expect.poll(databaseOf).toEqual({ status: 'ok' });

    proxy.jam('from-target', 0);
    expect(await databaseOf()).toEqual({ status: 'unavailable', reasons: ['TIMEOUT'] });
    proxy.cut();
    proxy.jam('from-target', Number.POSITIVE_INFINITY);
    await expect.poll(databaseOf).toEqual({ status: 'ok' });
  },
);

test('a server whose database lacks a migration is not ready', async () => {
  const { url, database } = await startServer();
  const [last] = await database.orm.em
    .fork()
    .execute('select max(name) as name from virement_migration');
  const remove = `delete from virement_migration where name = '${last?.name}'`;

  await database.orm.em.fork().execute(remove);

  expect(await readinessOf(url)).toMatchObject({
    code: 503,
    parts: { database: { status: 'unavailable', reasons: ['NOT_MIGRATED'] } },
  });
});

test('a stopping server reports it on the open connections', async () => {
  const { url, http } = await startServer({ STOP_LINGER_MS: '60000' });
  const connection = await openConnection(url);
  const ask = (path: string) =>
    connection.socket.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`);
  ask('/readyz');
  await expect.poll(() => connection.text).toContain('200 OK');

  const closed = http.close();
  await expect.poll(() => fetch(`${url}/livez`).catch(() => 'refused')).toBe('refused');
  ask('/readyz');

  await connection.closed;
  expect(connection.text).toContain('503 Service Unavailable');
  expect(connection.text).toContain('"server":{"status":"unavailable","reasons":["STOPPING"]}');
  await closed;
});

test('a monitor can read the metrics, and nothing of the ledger', async () => {
  const provider = await startIdentityProvider();
  const { client, url } = await startServer(provider.env);
  const bank = client.as(await provider.token({ roles: ['operator'] }));
  const { accounts } = await bank.data('{ accounts { nodes { organizationId } } }');
  const organizationIds = [accounts.nodes[0].organizationId];
  const { createApiKey } = await bank.data(
    `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
      ... on ApiKeyCreated { secret apiKey { roles } } } }`,
    { input: { name: 'Prometheus', organizationIds, roles: ['MONITOR'] } },
  );
  const token = await provider.token({ org: organizationIds, roles: ['monitor'] });

  expect(createApiKey.apiKey.roles).toEqual(['MONITOR']);
  for (const credential of [token, createApiKey.secret]) {
    const metrics = `${url}/metrics`;
    expect(await statusOf(metrics, { authorization: `Bearer ${credential}` })).toBe(200);
    const monitor = client.as(credential);
    expect(await monitor.data('{ accounts { nodes { iban } } }')).toEqual({
      accounts: { nodes: [] },
    });
    const { errors } = await monitor.send('{ outbox { due } }');
    expect(errors?.map(({ extensions }) => extensions.code)).toEqual(['FORBIDDEN']);
  }
  const viewer = await provider.token({ roles: ['viewer'] });
  expect(await statusOf(`${url}/metrics`, { authorization: `Bearer ${viewer}` })).toBe(403);
});

test('metrics on a separate port need no authentication and are not on the main port', async () => {
  const provider = await startIdentityProvider();
  const { url, metricsUrl, client } = await startServer({ ...provider.env, METRICS_PORT: '0' });

  const response = await fetch(`${metricsUrl}/metrics`);

  expect([response.status, response.headers.get('content-type')]).toEqual([
    200,
    'application/openmetrics-text; version=1.0.0; charset=utf-8',
  ]);
  expect(await response.text()).toContain('virement_outbox_messages{state="due"}');
  expect(await statusOf(`${metricsUrl}/graphql?query={__typename}`)).toBe(404);
  const operator = await provider.token({ roles: ['operator'] });
  expect(await statusOf(`${url}/metrics`, { authorization: `Bearer ${operator}` })).toBe(404);
  expect(await (await client.as(operator).post('{"query":"{__typename}"}')).text()).toContain(
    'Query',
  );
  expect(await (await fetch(url)).text()).not.toContain('/metrics');
});

test("metrics on loopback are refused under another host name than this machine's", async () => {
  const { metricsUrl = '' } = await startServer({ METRICS_PORT: '0' });
  const statusFor = async (host: string) => {
    const asked = request(`${metricsUrl}/metrics`, { headers: { host } }).end();
    const [response] = await once(asked, 'response');
    response.resume();
    return response.statusCode;
  };

  expect(await statusFor('localhost:9464')).toBe(200);
  expect(await statusFor('evil.example')).toBe(403);
});

test('a server whose port for metrics is in use fails to start with the reason', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const { port } = new URL((await startServer()).url);

  const { code, output } = await runScript('dist/main.js', {
    DATABASE_URL: database.url,
    PORT: '0',
    METRICS_PORT: port,
  });

  expect(code).toBe(1);
  expect(output).toContain(`Cannot listen on 127.0.0.1, port ${port}`);
});

/** Returns the values of a metric by its labels. */
async function valuesOf(url: string, name: string): Promise<Record<string, number>> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => new RegExp(`^${name}[ {]`).test(line));
  return Object.fromEntries(
    lines.map((line) => {
      const [, labels = '', value] = /^[a-z_]+(\{.*\})? (.+)$/.exec(line) ?? [];
      return [labels, Number(value)];
    }),
  );
}

test('the metrics have the state of the broker and the publications', async () => {
  const { url, client } = await startServer();
  await client.perform(aBulk([aTransfer()]));

  await expect
    .poll(() => valuesOf(url, 'virement_outbox_publications_total'))
    // The opening credits of the three demo accounts, and the bulk.
    .toEqual({ '{outcome="published"}': 4, '{outcome="failed"}': 0 });
  expect(await valuesOf(url, 'virement_broker_ready')).toEqual({ '': 1 });

  const without = await startServer({ AMQP_URL: 'amqp://127.0.0.1:1' });
  expect(await valuesOf(without.url, 'virement_broker_ready')).toEqual({ '': 0 });
});

test.runIf(DIALECT === 'mysql')('the metrics have the use of the connections', async () => {
  const { url, client, database } = await startServer({ DATABASE_POOL_MAX: '5' });
  const name = 'virement_database_connections';
  await client.perform(aBulk([aTransfer()]));
  const idle = { '{state="in_use"}': 0, '{state="waiting"}': 0 };
  await expect.poll(() => valuesOf(url, name)).toEqual(idle);

  const sleeps = Array.from({ length: 6 }, () =>
    database.orm.em
      .fork()
      .execute('select sleep(5)')
      .catch(() => {}),
  );
  // The scrape itself waits for a connection, for the outbox.
  await expect.poll(() => database.connectionUse?.inUse).toBe(5);
  expect(database.connectionUse?.waiting).toBeGreaterThan(0);
  await Promise.all(sleeps);
  await expect.poll(() => valuesOf(url, name)).toEqual(idle);
});
