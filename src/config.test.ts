import { describe, expect, test } from 'vitest';
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
  DATABASE_URL: 'postgres://root:hunter2@localhost/virement',
  DATABASE_POOL_MAX: '0',
  IBAN_CHECK: 'lax',
  BULK_TRANSFERS_MAX: 'many',
  LOCK_TIMEOUT_MS: '-1',
  BODY_LIMIT_BYTES: '1.5',
  SEED_DEMO: 'yes',
  LOG_LEVEL: 'verbose',
};

describe('the configuration', () => {
  test('of an empty environment is the defaults', () => {
    expect(loadConfig({})).toEqual({
      host: '127.0.0.1',
      port: 4000,
      databaseUrl: 'sqlite:data/virement.db',
      databasePoolMax: 10,
      ibanCheck: 'strict',
      bulkTransfersMax: 10_000,
      lockTimeoutMs: 5_000,
      requestTimeoutMs: 30_000,
      bodyLimitBytes: 10_485_760,
      amqpUrl: undefined,
      outboxRetentionMs: 604_800_000,
      authentication: { mode: 'off' },
      seedDemo: true,
      logLevel: 'info',
    });
  });

  test('is what the environment says', () => {
    expect(
      loadConfig({
        HOST: '::1',
        PORT: '8080',
        DATABASE_URL: 'mysql://user:pass@host/db',
        DATABASE_POOL_MAX: '20',
        IBAN_CHECK: 'format',
        BULK_TRANSFERS_MAX: '500',
        LOCK_TIMEOUT_MS: '250',
        REQUEST_TIMEOUT_MS: '9000',
        BODY_LIMIT_BYTES: '2048',
        AMQP_URL: 'amqps://user:pass@host',
        OUTBOX_RETENTION: '2h',
        AUTH: 'on',
        AUTH_JWKS_URL: 'https://id.example/jwks',
        AUTH_ISSUER: 'https://id.example',
        AUTH_AUDIENCE: 'virement',
        AUTH_ORG_CLAIM: 'tenant',
        AUTH_ROLES_CLAIM: 'scope',
        SEED_DEMO: 'true',
        LOG_LEVEL: 'debug',
      }),
    ).toEqual({
      host: '::1',
      port: 8080,
      databaseUrl: 'mysql://user:pass@host/db',
      databasePoolMax: 20,
      ibanCheck: 'format',
      bulkTransfersMax: 500,
      lockTimeoutMs: 250,
      requestTimeoutMs: 9_000,
      bodyLimitBytes: 2048,
      amqpUrl: 'amqps://user:pass@host',
      outboxRetentionMs: 7_200_000,
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
    });
  });

  test('takes an empty variable for an absent one', () => {
    const empty = Object.fromEntries(Object.keys({ ...WRONG, HOST: '' }).map((key) => [key, '']));

    expect(loadConfig(empty)).toEqual(loadConfig({}));
  });

  test('has nothing to do with other variables', () => {
    expect(loadConfig({ PATH: '/bin', port: '1' })).toEqual(loadConfig({}));
  });

  test('can not be changed', () => {
    expect(Object.isFrozen(loadConfig({}))).toBe(true);
  });

  test('names every variable that is wrong at once', () => {
    const named = faultOf(WRONG).match(/^ {2}[A-Z_]+(?=: \S)/gm) ?? [];

    expect(named.map((name) => name.trim()).sort()).toEqual(Object.keys(WRONG).sort());
  });

  test('names no variable that is right', () => {
    expect(faultOf({ ...WRONG, PORT: '4000' })).not.toContain('PORT');
  });

  test('never repeats a value: it may hold a password', () => {
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
    ['PORT', '0'],
    ['PORT', '65535'],
    ['DATABASE_POOL_MAX', '5'],
    ['BULK_TRANSFERS_MAX', '1'],
    ['BULK_TRANSFERS_MAX', '90000'],
    ['LOCK_TIMEOUT_MS', '1'],
    ['LOCK_TIMEOUT_MS', '600000'],
    ['BODY_LIMIT_BYTES', '1024'],
    ['DATABASE_URL', 'sqlite::memory:'],
    ['DATABASE_URL', 'mariadb://root@127.0.0.1:3306/virement'],
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
    ['LOCK_TIMEOUT_MS', '0'],
    ['LOCK_TIMEOUT_MS', '600001'],
    ['BODY_LIMIT_BYTES', '1023'],
    ['IBAN_CHECK', 'STRICT'],
    ['SEED_DEMO', '1'],
    ['LOG_LEVEL', 'INFO'],
    ['DATABASE_URL', 'data/virement.db'],
    ['DATABASE_URL', 'sqlite:'],
    ['DATABASE_URL', 'mysql://host'],
    ['DATABASE_URL', 'mysql2://user:pass@host/db'],
  ])('refuses %s=%s', (name, value) => {
    expect(faultOf({ [name]: value })).toContain(name);
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
  ])('is missing, and what to set is said: %j', (env) => {
    expect(modeOf(env)).toEqual({ mode: 'missing', reason: expect.stringContaining('AUTH_') });
  });

  test('takes a PEM with its line breaks escaped, as environments have it', () => {
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
