import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ConfigError, loadConfig } from './config.js';

function faultOf(env: NodeJS.ProcessEnv): string {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return '';
}

/** A wrong value for every variable that can have one. */
const WRONG = {
  PORT: '65536',
  METRICS_PORT: '65536',
  DATABASE_URL: 'postgres://root:hunter2@localhost/virement',
  DATABASE_POOL_MAX: '0',
  IBAN_CHECK: 'lax',
  BULK_TRANSFERS_MAX: 'many',
  REQUIRE_IDEMPOTENCY_KEY: 'always',
  LOCK_TIMEOUT_MS: '-1',
  BODY_LIMIT_BYTES: '1.5',
  BODIES_BYTES_MAX: '1023',
  SEED_DEMO: 'yes',
  INTROSPECTION: '1',
  GRAPHIQL: 'on',
  OPERATION_BYTES_MAX: '1048577',
  OPERATION_TOKENS_MAX: '99',
  OPERATION_DEPTH_MAX: '0',
  OPERATION_ALIASES_MAX: '-1',
  OPERATION_ROOT_FIELDS_MAX: '0',
  OPERATION_COST_MAX: '0',
  RATE_LIMIT_COST_PER_SECOND: '0.5',
  RATE_LIMIT_BURST: '0',
  WEBSOCKET_CONNECTIONS_MAX: 'all',
  WEBSOCKET_CONNECTIONS_PER_CALLER_MAX: 'all',
  SUBSCRIPTIONS_PER_CALLER_MAX: 'all',
  CONNECTIONS_MAX: '0',
  HEADERS_TIMEOUT_MS: '99',
  RECEIVE_TIMEOUT_MS: '99',
  SEND_TIMEOUT_MS: '999',
  ANSWER_BYTES_MAX: '65535',
  UNREAD_ANSWERS_BYTES_MAX: '65535',
  STOP_LINGER_MS: '60001',
  SHUTDOWN_TIMEOUT_MS: '999',
  WEBHOOK_PROXY_URL: 'socks5://proxy',
  ORDER_BULK_TRANSFERS_MAX: '0',
  ORDER_RETENTION: '30',
  WEBHOOK_RETENTION: '30',
  EXPORT_LINK_SECRET: 'hunter2-is-a-short-secret',
  IMPORT_BYTES_MAX: '1',
  BANK_RULES: 'swift',
  CORS_ORIGINS: '*',
  TRUST_PROXY: 'true',
  TRUSTED_DOCUMENTS: 'some',
  LOG_LEVEL: 'verbose',
  LOG_FORMAT: 'xml',
  LOG_OPERATIONS: 'some',
  OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4318',
  OTEL_EXPORTER_OTLP_HEADERS: 'authorization',
  OTEL_TRACES_SAMPLER_ARG: '2',
  SENTRY_DSN: 'https://errors.example/42',
};

describe('the configuration', () => {
  test('has the defaults in an empty environment', () => {
    expect(loadConfig({})).toEqual({
      host: '127.0.0.1',
      port: 4000,
      metricsHost: '127.0.0.1',
      metricsPort: undefined,
      databaseUrl: 'sqlite:data/virement.db',
      databasePoolMax: 10,
      ibanCheck: 'strict',
      bulkTransfersMax: 10_000,
      requiresIdempotencyKey: false,
      lockTimeoutMs: 5_000,
      clockSkewMsMax: 5_000,
      requestTimeoutMs: 30_000,
      bodyLimitBytes: 10_485_760,
      bodiesBytesMax: 268_435_456,
      amqpUrl: undefined,
      outboxRetentionMs: 604_800_000,
      webhookProxyUrl: undefined,
      orderBulkTransfersMax: 100_000,
      orderRetentionMs: 2_592_000_000,
      webhookRetentionMs: 2_592_000_000,
      exportLinkSecret: undefined,
      importBytesMax: 104_857_600,
      bankRules: 'none',
      introspection: true,
      graphiql: true,
      operationBytesMax: 131_072,
      operationTokensMax: 5_000,
      operationDepthMax: 12,
      operationAliasesMax: 30,
      operationRootFieldsMax: 20,
      operationCostMax: 5_000,
      rateLimitCostPerSecond: 0,
      rateLimitBurst: 50_000,
      websocketConnectionsMax: 10_000,
      websocketConnectionsPerCallerMax: 2_000,
      subscriptionsPerCallerMax: 10_000,
      connectionsMax: 20_000,
      headersTimeoutMs: 10_000,
      receiveTimeoutMs: 60_000,
      sendTimeoutMs: 60_000,
      answerBytesMax: 16_777_216,
      unreadAnswersBytesMax: 134_217_728,
      stopLingerMs: 1_000,
      shutdownTimeoutMs: 50_000,
      trustedProxies: undefined,
      corsOrigins: [],
      trustedDocuments: 'off',
      trustedDocumentsFile: undefined,
      authentication: { mode: 'off' },
      seedDemo: true,
      logLevel: 'info',
      logFormat: 'auto',
      loggedOperations: 'all',
      traceExport: undefined,
      errorReports: undefined,
      unknownNames: [],
    });
  });

  test('takes a secret from a file, and tells if the file is missing or its text is wrong', () => {
    const folder = mkdtempSync(join(tmpdir(), 'virement-config-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'amqp');
    writeFileSync(file, 'amqp://user:secret@host\n');

    expect(loadConfig({ AMQP_URL_FILE: file })).toMatchObject({
      amqpUrl: 'amqp://user:secret@host',
    });
    expect(faultOf({ AMQP_URL_FILE: join(folder, 'none') })).toContain(
      'AMQP_URL_FILE: cannot be read',
    );
    writeFileSync(file, 'secret');
    expect(faultOf({ AMQP_URL_FILE: file })).toContain('AMQP_URL: must be amqp://');
    expect(faultOf({ AMQP_URL_FILE: file })).not.toContain('secret');
  });

  test('is read from the environment', () => {
    expect(
      loadConfig({
        HOST: '::1',
        PORT: '8080',
        METRICS_HOST: '0.0.0.0',
        METRICS_PORT: '9464',
        DATABASE_URL: 'mysql://user:pass@host/db',
        DATABASE_POOL_MAX: '20',
        IBAN_CHECK: 'format',
        BULK_TRANSFERS_MAX: '500',
        REQUIRE_IDEMPOTENCY_KEY: 'true',
        LOCK_TIMEOUT_MS: '250',
        CLOCK_SKEW_MS_MAX: '750',
        REQUEST_TIMEOUT_MS: '9000',
        BODY_LIMIT_BYTES: '2048',
        BODIES_BYTES_MAX: '8192',
        AMQP_URL: 'amqps://user:pass@host',
        OUTBOX_RETENTION: '2h',
        WEBHOOK_PROXY_URL: 'http://user:pass@proxy:3128',
        ORDER_BULK_TRANSFERS_MAX: '200000',
        ORDER_RETENTION: '36h',
        WEBHOOK_RETENTION: '90m',
        EXPORT_LINK_SECRET: '0123456789abcdef0123456789abcdef',
        IMPORT_BYTES_MAX: '2048',
        BANK_RULES: 'sepa',
        NODE_ENV: 'production',
        INTROSPECTION: 'true',
        GRAPHIQL: 'false',
        OPERATION_BYTES_MAX: '4096',
        OPERATION_TOKENS_MAX: '1000',
        OPERATION_DEPTH_MAX: '8',
        OPERATION_ALIASES_MAX: '0',
        OPERATION_ROOT_FIELDS_MAX: '1',
        OPERATION_COST_MAX: '100',
        RATE_LIMIT_COST_PER_SECOND: '50',
        RATE_LIMIT_BURST: '100',
        WEBSOCKET_CONNECTIONS_MAX: '4',
        WEBSOCKET_CONNECTIONS_PER_CALLER_MAX: '3',
        SUBSCRIPTIONS_PER_CALLER_MAX: '2',
        CONNECTIONS_MAX: '10',
        HEADERS_TIMEOUT_MS: '1000',
        RECEIVE_TIMEOUT_MS: '2000',
        SEND_TIMEOUT_MS: '3000',
        ANSWER_BYTES_MAX: '100000',
        UNREAD_ANSWERS_BYTES_MAX: '200000',
        STOP_LINGER_MS: '5',
        SHUTDOWN_TIMEOUT_MS: '6000',
        CORS_ORIGINS: 'https://app.example, http://localhost:3000',
        TRUST_PROXY: '10.0.0.0/8, ::1',
        TRUSTED_DOCUMENTS: 'only',
        TRUSTED_DOCUMENTS_FILE: 'persisted-documents.json',
        AUTH: 'on',
        AUTH_JWKS_URL: 'https://id.example/jwks',
        AUTH_ISSUER: 'https://id.example',
        AUTH_AUDIENCE: 'virement',
        AUTH_ORG_CLAIM: 'tenant',
        AUTH_ROLES_CLAIM: 'scope',
        SEED_DEMO: 'true',
        LOG_LEVEL: 'debug',
        LOG_FORMAT: 'json',
        LOG_OPERATIONS: 'errors',
        OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318',
        OTEL_EXPORTER_OTLP_HEADERS: 'authorization=Bearer%20secret,x-tenant=bank',
        OTEL_SERVICE_NAME: 'payroll',
        OTEL_TRACES_SAMPLER_ARG: '0.25',
        SENTRY_DSN: 'https://key@errors.example/42',
        SENTRY_ENVIRONMENT: 'staging',
      }),
    ).toEqual({
      host: '::1',
      port: 8080,
      metricsHost: '0.0.0.0',
      metricsPort: 9_464,
      databaseUrl: 'mysql://user:pass@host/db',
      databasePoolMax: 20,
      ibanCheck: 'format',
      bulkTransfersMax: 500,
      requiresIdempotencyKey: true,
      lockTimeoutMs: 250,
      clockSkewMsMax: 750,
      requestTimeoutMs: 9_000,
      bodyLimitBytes: 2048,
      bodiesBytesMax: 8192,
      amqpUrl: 'amqps://user:pass@host',
      outboxRetentionMs: 7_200_000,
      webhookProxyUrl: 'http://user:pass@proxy:3128',
      orderBulkTransfersMax: 200_000,
      orderRetentionMs: 129_600_000,
      webhookRetentionMs: 5_400_000,
      exportLinkSecret: '0123456789abcdef0123456789abcdef',
      importBytesMax: 2_048,
      bankRules: 'sepa',
      introspection: true,
      graphiql: false,
      operationBytesMax: 4_096,
      operationTokensMax: 1_000,
      operationDepthMax: 8,
      operationAliasesMax: 0,
      operationRootFieldsMax: 1,
      operationCostMax: 100,
      rateLimitCostPerSecond: 50,
      rateLimitBurst: 100,
      websocketConnectionsMax: 4,
      websocketConnectionsPerCallerMax: 3,
      subscriptionsPerCallerMax: 2,
      connectionsMax: 10,
      headersTimeoutMs: 1_000,
      receiveTimeoutMs: 2_000,
      sendTimeoutMs: 3_000,
      answerBytesMax: 100_000,
      unreadAnswersBytesMax: 200_000,
      stopLingerMs: 5,
      shutdownTimeoutMs: 6_000,
      trustedProxies: ['10.0.0.0/8', '::1'],
      corsOrigins: ['https://app.example', 'http://localhost:3000'],
      trustedDocuments: 'only',
      trustedDocumentsFile: 'persisted-documents.json',
      authentication: {
        mode: 'on',
        keys: { jwksUrl: 'https://id.example/jwks' },
        issuer: 'https://id.example',
        audience: 'virement',
        organizationClaim: 'tenant',
        rolesClaim: 'scope',
      },
      seedDemo: true,
      logLevel: 'debug',
      logFormat: 'json',
      loggedOperations: 'errors',
      traceExport: {
        endpoint: 'http://collector:4318',
        headers: { authorization: 'Bearer secret', 'x-tenant': 'bank' },
        serviceName: 'payroll',
        share: 0.25,
      },
      errorReports: { dsn: 'https://key@errors.example/42', environment: 'staging' },
      unknownNames: [],
    });
  });

  test('treats an empty variable as absent', () => {
    const empty = Object.fromEntries(Object.keys({ ...WRONG, HOST: '' }).map((key) => [key, '']));

    expect(loadConfig(empty)).toEqual(loadConfig({}));
  });

  test('ignores other variables', () => {
    const others = {
      PATH: '/bin',
      port: '1',
      POST: '1',
      HOSTNAME: 'h',
      AUTHOR: 'a',
      MYSQL_PORT: '3307',
    };
    expect(loadConfig(others)).toEqual(loadConfig({}));
  });

  test.each([
    ['DATABSE_URL', 'DATABASE_URL'],
    ['AMQP_URI', 'AMQP_URL'],
    ['database_url', 'DATABASE_URL'],
    ['CORS_ORIGIN', 'CORS_ORIGINS'],
    ['SEED_DEMOS', 'SEED_DEMO'],
  ])('refuses %s, a misspelling of %s', (name, meant) => {
    expect(faultOf({ [name]: 'x' })).toBe(
      `The settings are wrong:\n  ${name}: is not a setting; did you mean ${meant}?`,
    );
  });

  test('refuses a URL without a database with the same message, with and without options', () => {
    expect(faultOf({ DATABASE_URL: 'mariadb://root@host/?ssl-mode=REQUIRED' })).toBe(
      faultOf({ DATABASE_URL: 'mariadb://root@host/' }),
    );
  });

  test('names the wrong option of AMQP_URL', () => {
    expect(faultOf({ AMQP_URL: 'amqp://host?heartbeat=abc' })).toContain(
      'AMQP_URL: has heartbeat=abc: it must be a whole number from 0 to 65535',
    );
    expect(faultOf({ AMQP_URL: 'amqp://host?heartbeat=1&heartbeat=2' })).toContain(
      'AMQP_URL: has heartbeat twice',
    );
  });

  test.each([
    'http://proxy:0',
    'http://proxy:65536',
    'http://proxy:3128/path',
    'http://proxy:3128?key=value',
    'http://user:50%@proxy:3128',
    'proxy:3128',
  ])('refuses %s as WEBHOOK_PROXY_URL', (url) => {
    expect(faultOf({ WEBHOOK_PROXY_URL: url })).toContain('WEBHOOK_PROXY_URL: ');
  });

  test('does not repeat the password of a wrong WEBHOOK_PROXY_URL', () => {
    const fault = faultOf({ WEBHOOK_PROXY_URL: 'http://user:hunter2@proxy:65536' });

    expect(fault).toContain('WEBHOOK_PROXY_URL: ');
    expect(fault).not.toContain('hunter2');
  });

  test('ignores a name that resembles a setting if that setting is given, too', () => {
    expect(loadConfig({ AMQP_URI: 'x', AMQP_URL: 'amqp://host' })).toMatchObject({
      amqpUrl: 'amqp://host',
    });
  });

  test('is immutable', () => {
    expect(Object.isFrozen(loadConfig({}))).toBe(true);
  });

  test('names all wrong variables at once', () => {
    const named = faultOf(WRONG).match(/^ {2}[A-Z_]+(?=: \S)/gm) ?? [];

    expect(named.map((name) => name.trim()).sort()).toEqual(Object.keys(WRONG).sort());
  });

  test('does not name correct variables', () => {
    expect(faultOf({ ...WRONG, PORT: '4000' })).not.toMatch(/^ {2}PORT/m);
  });

  test('never repeats a value in an error, because it may be a password', () => {
    expect(faultOf(WRONG)).not.toContain('hunter2');
  });

  test.each([
    [undefined, true],
    ['', true],
    ['sqlite:data/virement.db', true],
    ['sqlite::memory:', true],
    ['mysql://user:pass@host/db', false],
    ['mariadb://user:pass@host/db', false],
  ])('with the database %s seeds the demo by default: %s', (databaseUrl, seedDemo) => {
    expect(loadConfig({ DATABASE_URL: databaseUrl }).seedDemo).toBe(seedDemo);
  });

  test.each([
    ['sqlite:data/virement.db', 'false', false],
    ['mysql://user:pass@host/db', 'true', true],
  ])('with the database %s seeds the demo as SEED_DEMO=%s says', (url, text, seedDemo) => {
    expect(loadConfig({ DATABASE_URL: url, SEED_DEMO: text }).seedDemo).toBe(seedDemo);
  });

  test.each([
    [undefined, undefined, true],
    ['production', undefined, false],
    ['production', 'true', true],
    ['development', 'false', false],
  ])('with NODE_ENV %s and the setting %s shows the schema and GraphiQL: %s', (env, set, shown) => {
    const settings = { NODE_ENV: env, INTROSPECTION: set, GRAPHIQL: set };
    expect(loadConfig(settings)).toMatchObject({ introspection: shown, graphiql: shown });
  });

  test.each([
    ['127.0.0.1', undefined, 0],
    ['::1', undefined, 0],
    ['localhost', undefined, 0],
    ['0.0.0.0', undefined, 10_000],
    ['127.example', undefined, 10_000],
    ['0.0.0.0', '0', 0],
    ['127.0.0.1', '7', 7],
  ])('limits the rate on %s with the setting %s to %s', (host, rate, limit) => {
    const env = { HOST: host, RATE_LIMIT_COST_PER_SECOND: rate };
    expect(loadConfig(env).rateLimitCostPerSecond).toBe(limit);
  });

  test.each([
    ['1', 1],
    ['0', undefined],
    ['192.0.2.1', ['192.0.2.1']],
  ])('trusts the proxies of TRUST_PROXY=%s', (value, trustedProxies) => {
    expect(loadConfig({ TRUST_PROXY: value })).toMatchObject({ trustedProxies });
  });

  test.each(['true', '10.0.0.0/33', '10.0.0/8', 'proxy.example', '10.0.0.1,', '::1/129', '100'])(
    'refuses TRUST_PROXY=%s',
    (value) => {
      expect(faultOf({ TRUST_PROXY: value })).toContain('TRUST_PROXY');
    },
  );

  test('refuses a burst below the most expensive operation, and trusted documents without a manifest', () => {
    const faults = faultOf({
      OPERATION_COST_MAX: '200',
      RATE_LIMIT_BURST: '199',
      TRUSTED_DOCUMENTS: 'log',
    });
    expect(faults).toContain('RATE_LIMIT_BURST: ');
    expect(faults).toContain('TRUSTED_DOCUMENTS_FILE: ');
  });

  test.each([
    ['PORT', '0'],
    ['PORT', '65535'],
    ['DATABASE_POOL_MAX', '5'],
    ['BULK_TRANSFERS_MAX', '1'],
    ['BULK_TRANSFERS_MAX', '90000'],
    ['ORDER_BULK_TRANSFERS_MAX', '1'],
    ['ORDER_BULK_TRANSFERS_MAX', '500000'],
    ['LOCK_TIMEOUT_MS', '1'],
    ['LOCK_TIMEOUT_MS', '600000'],
    ['CLOCK_SKEW_MS_MAX', '100'],
    ['CLOCK_SKEW_MS_MAX', '31622400000'],
    ['BODY_LIMIT_BYTES', '1024'],
    ['DATABASE_URL', 'sqlite::memory:'],
    ['DATABASE_URL', 'mariadb://root@127.0.0.1:3306/virement'],
    ['DATABASE_URL', 'mariadb://host/virement?ssl-mode=required'],
    ['DATABASE_URL', 'mariadb://host/virement?ssl-mode=VERIFY_IDENTITY'],
    ['DATABASE_URL', 'mariadb://host/virement?ssl-mode=VERIFY_CA&ssl-ca=package.json'],
    ['AMQP_URL', 'amqp://host/?heartbeat=5&frameMax=8192'],
    ['AMQP_URL', 'amqp://host/?heartbeat=0&channelMax=65535&frameMax=0&maxFrameSize=4096'],
    ['AMQP_URL', 'amqp://host/?locale=en_US'],
  ])('accepts %s=%s', (name, value) => {
    expect(faultOf({ [name]: value })).toBe('');
  });

  test.each([
    ['PORT', '65536'],
    ['PORT', '-1'],
    ['PORT', '4e3'],
    ['PORT', '0x10'],
    ['PORT', ' 4000'],
    ['PORT', '4000.0'],
    ['PORT', '٣'],
    ['DATABASE_POOL_MAX', '4'],
    ['BULK_TRANSFERS_MAX', '0'],
    ['BULK_TRANSFERS_MAX', '90001'],
    ['ORDER_BULK_TRANSFERS_MAX', '0'],
    ['ORDER_BULK_TRANSFERS_MAX', '500001'],
    ['LOCK_TIMEOUT_MS', '0'],
    ['LOCK_TIMEOUT_MS', '600001'],
    ['CLOCK_SKEW_MS_MAX', '99'],
    ['CLOCK_SKEW_MS_MAX', '31622400001'],
    ['BODY_LIMIT_BYTES', '1023'],
    ['IBAN_CHECK', 'STRICT'],
    ['SEED_DEMO', '1'],
    ['CORS_ORIGINS', 'https://app.example/'],
    ['CORS_ORIGINS', 'app.example'],
    ['CORS_ORIGINS', 'https://app.example,'],
    ['CORS_ORIGINS', 'null'],
    ['LOG_LEVEL', 'INFO'],
    ['DATABASE_URL', 'data/virement.db'],
    ['DATABASE_URL', 'sqlite:'],
    ['DATABASE_URL', 'mysql://host'],
    ['DATABASE_URL', 'mysql2://user:pass@host/db'],
    ['DATABASE_URL', 'mysql://user:pass@host:65536/db'],
    ['DATABASE_URL', 'mysql://user:pass@host:0/db'],
    ['DATABASE_URL', 'mysql://user:100%@host/db'],
    ['DATABASE_URL', 'sqlite:data/virement.db?mode=ro'],
    ['DATABASE_URL', 'mysql://host/db#fragment'],
    ['DATABASE_URL', 'mysql://host/db?sslmode=require'],
    ['DATABASE_URL', 'mysql://host/db?ssl-mode=PREFERRED'],
    ['DATABASE_URL', 'mysql://host/db?ssl-mode=REQUIRED&ssl-mode=DISABLED'],
    ['DATABASE_URL', 'mysql://host/db?ssl-mode=VERIFY_CA'],
    ['DATABASE_URL', 'mysql://host/db?ssl-mode=REQUIRED&ssl-ca=package.json'],
    ['DATABASE_URL', 'mysql://host/db?ssl-mode=VERIFY_CA&ssl-ca=missing.pem'],
    ['DATABASE_URL', 'mysql://host/db?ssl-mode=REQUIRED&ssl-cert=package.json'],
    ['DATABASE_URL', 'mysql://host/db?ssl-cert=package.json&ssl-key=package.json'],
    ['DATABASE_URL', 'mysql://10.0.0.1/db?ssl-mode=VERIFY_IDENTITY'],
    ['AMQP_URL', 'amqp://host?heartbeats=5'],
    ['AMQP_URL', 'amqp://host?heartbeat=abc'],
    ['AMQP_URL', 'amqp://host?heartbeat='],
    ['AMQP_URL', 'amqp://host?heartbeat=-1'],
    ['AMQP_URL', 'amqp://host?heartbeat=65536'],
    ['AMQP_URL', 'amqp://host?channelMax=1e3'],
    ['AMQP_URL', 'amqp://host?frameMax=1'],
    ['AMQP_URL', 'amqp://host?frameMax=4294967296'],
    ['AMQP_URL', 'amqp://host?maxFrameSize=4095'],
    ['AMQP_URL', 'amqp://host?heartbeat=5&heartbeat=5'],
    ['AMQP_URL', 'amqp://host?locale=a&locale=b'],
    ['DATABASE_URL', 'mariadb://root@127.0.0.1:3397/?ssl-mode=REQUIRED'],
    ['AMQP_URL', 'http://user:pass@host'],
    ['AMQP_URL', 'amqp://user:pass@host:65536'],
    ['AMQP_URL', 'amqp://user:pass@host:0'],
    ['AMQP_URL', 'amqp://user:pass@host:port'],
    ['AMQP_URL', 'amqp://user:100%@host'],
  ])('refuses %s=%s', (name, value) => {
    expect(faultOf({ [name]: value })).toContain(name);
    expect(faultOf({ [name]: value })).not.toContain('pass@');
  });
});

describe('authentication', () => {
  const modeOf = (env: NodeJS.ProcessEnv) => loadConfig(env).authentication;
  const KEY = '-----BEGIN PUBLIC KEY-----\\nabc\\n-----END PUBLIC KEY-----';
  const WHOLE = { AUTH_PUBLIC_KEY: KEY, AUTH_ISSUER: 'me', AUTH_AUDIENCE: 'virement' };

  test.each([{}, { HOST: '::1' }, { HOST: 'localhost' }, { AUTH: 'off' }, { NODE_ENV: 'test' }])(
    'is off on loopback in development: %j',
    (env) => {
      expect(modeOf(env)).toEqual({ mode: 'off' });
    },
  );

  test.each([
    { HOST: '0.0.0.0' },
    { HOST: '192.0.2.1', AUTH: 'off' },
    { NODE_ENV: 'production' },
    { NODE_ENV: 'production', AUTH: 'off' },
    { AUTH: 'on' },
    { ...WHOLE, AUTH_ISSUER: '' },
    { ...WHOLE, AUTH_AUDIENCE: '' },
    { ...WHOLE, AUTH_JWKS_URL: 'https://id.example/jwks' },
    { AUTH_JWKS_URL: 'https://id.example/jwks' },
  ])('is refused if a setting is missing, and the error names what to set: %j', (env) => {
    expect(modeOf(env)).toEqual({ mode: 'missing', reason: expect.stringContaining('AUTH_') });
  });

  test('accepts a PEM with escaped line breaks, as environments have it', () => {
    expect(modeOf({ ...WHOLE, HOST: '0.0.0.0', NODE_ENV: 'production' })).toMatchObject({
      mode: 'on',
      keys: { publicKey: KEY.replaceAll('\\n', '\n') },
      organizationClaim: 'org',
      rolesClaim: 'roles',
    });
  });

  test('refuses a key that is neither a PEM nor a file', () => {
    expect(() => loadConfig({ AUTH_PUBLIC_KEY: '/nowhere/key.pem' })).toThrow(/AUTH_PUBLIC_KEY/);
  });
});
