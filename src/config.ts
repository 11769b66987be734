import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { TRANSFERS_PER_BULK_LIMIT } from './domain/postings.js';
import { type Environment, findUnknownNames, readEnvironment } from './environment.js';
import { parseMySqlUrl } from './infrastructure/database/mysql-url.js';
import { ExplainedError } from './infrastructure/observability/explained-error.js';
import { reasonOf } from './infrastructure/observability/secrets.js';
import { authenticationOf } from './server/access/authentication-settings.js';
import { LOOPBACK_HOSTS } from './server/access/loopback.js';
import { isAddressRange } from './server/access/remote-address.js';

const MIB = 1_024 * 1_024;

/** Ten minutes: a client has long gone by then. */
const LOCK_TIMEOUT_LIMIT_MS = 600_000;

const REQUEST_TIMEOUT_LIMIT_MS = 3_600_000;

/** A year: as good as no bound. */
const CLOCK_SKEW_LIMIT_MS = 366 * 86_400_000;

/** What a request takes beside waiting for a lock. */
const LOCK_MARGIN_MS = 5_000;

/** 90,000 amounts of 999,999,999.99, the largest in euro, are what a balance can hold. */
const BULK_TRANSFERS_LIMIT = Math.min(90_000, TRANSFERS_PER_BULK_LIMIT);

const wholeNumber = (min: number, max: number) =>
  z
    .string()
    .regex(/^[0-9]{1,15}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min).max(max));

const integer = (fallback: number, min: number, max: number) =>
  wholeNumber(min, max).default(fallback);

const UNIT_MS: Readonly<Record<string, number>> = { m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A number and a unit, such as 7d, in milliseconds. */
const duration = (fallback: string) =>
  z
    .string()
    .regex(/^[1-9][0-9]{0,4}[mhd]$/, 'must be minutes, hours or days: 90m, 36h or 7d')
    .default(fallback)
    .transform((text) => Number(text.slice(0, -1)) * (UNIT_MS[text.slice(-1)] ?? Number.NaN));

/** Origins as browsers write them, separated by commas. */
const origins = z
  .string()
  .transform((text) => text.split(',').map((each) => each.trim()))
  .refine((list) => list.every((each) => URL.canParse(each) && new URL(each).origin === each), {
    message: 'must be origins, separated by commas: https://app.example,http://localhost:3000',
  })
  .default([]);

/** A number of proxies, or their addresses and networks, separated by commas; 0 and an absent one trust nobody. */
const trustedProxies = z
  .string()
  .transform((text) =>
    /^[0-9]{1,2}$/.test(text)
      ? Number(text) || undefined
      : text.split(',').map((each) => each.trim()),
  )
  .refine((trusted) => !Array.isArray(trusted) || trusted.every(isAddressRange), {
    message:
      'must be a number of proxies, or addresses and networks: 10.0.0.0/8,192.0.2.1,2001:db8::/32',
  })
  .optional();

/** A PEM as it is, with \n for its line breaks, or the path of a file that holds it. */
const publicKey = z.string().transform((text, context) => {
  if (text.includes('-----BEGIN')) return text.replaceAll('\\n', '\n');
  try {
    return readFileSync(text, 'utf8');
  } catch {
    context.addIssue({ code: 'custom', message: 'is neither a PEM nor a file that can be read' });
    return z.NEVER;
  }
});

const flag = z
  .enum(['true', 'false'])
  .transform((text) => text === 'true')
  .optional();

/** What one caller gets back each second where others than this machine are served: 1,000 small bulks. */
const RATE_LIMIT_COST_PER_SECOND = 10_000;

/** Tells whether a URL can be read, has a port to connect to, and has nothing with a wrong percent-encoding. */
function isServerUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { port, username, password, pathname } = new URL(text);
  try {
    for (const part of [username, password, pathname]) decodeURIComponent(part);
  } catch {
    return false;
  }
  return port !== '0';
}

const NO_SERVER_URL =
  'is not a URL: check the port, 1 to 65535, and percent-encode what is special in the password';

const NO_DATABASE_URL =
  'must be sqlite:FILE, sqlite::memory:, mysql://USER:PASSWORD@HOST/DATABASE or mariadb://…';

const databaseUrl = z
  .string()
  .regex(/^(sqlite:.+|(mysql|mariadb):\/\/.+\/.+)$/, { abort: true, message: NO_DATABASE_URL })
  .refine((text) => text.startsWith('sqlite:') || isServerUrl(text), {
    abort: true,
    message: NO_SERVER_URL,
  })
  .superRefine((text, context) => {
    try {
      if (!text.startsWith('sqlite:')) {
        const { database } = parseMySqlUrl(text);
        if (database === '') context.addIssue({ code: 'custom', message: NO_DATABASE_URL });
      } else if (text.includes('?')) {
        throw new ExplainedError('has a ?: sqlite:FILE has no options');
      }
    } catch (error) {
      context.addIssue({ code: 'custom', message: reasonOf(error) });
    }
  })
  .default('sqlite:data/virement.db');

/** AMQP 0-9-1, 4.2.3: no frame is limited to less. */
const AMQP_FRAME_BYTES_MIN = 4_096;
const UINT16_MAX = 65_535;
const UINT32_MAX = 4_294_967_295;

/**
 * Options that amqplib reads from the URL of a broker: the least and the largest number of each; undefined for a
 * text. 0 stands for no heartbeat, and for no limit.
 */
const AMQP_OPTIONS: Readonly<Record<string, readonly [number, number] | undefined>> = {
  heartbeat: [0, UINT16_MAX],
  channelMax: [0, UINT16_MAX],
  frameMax: [AMQP_FRAME_BYTES_MIN, UINT32_MAX],
  maxFrameSize: [AMQP_FRAME_BYTES_MIN, UINT32_MAX],
  locale: undefined,
};

/** Returns what is wrong with the options of a broker's URL; undefined where nothing is. */
function amqpFault(text: string): string | undefined {
  const options = [...new URL(text).searchParams];
  for (const [index, [name, value]] of options.entries()) {
    if (!Object.hasOwn(AMQP_OPTIONS, name)) {
      return `has an unknown option: it takes ${Object.keys(AMQP_OPTIONS).join(', ')}`;
    }
    if (options.findIndex(([other]) => other === name) < index) return `has ${name} twice`;
    const [min, max] = AMQP_OPTIONS[name] ?? [];
    if (min === undefined || max === undefined || value === '0') continue;
    const isNumber = /^[0-9]{1,10}$/.test(value) && Number(value) >= min && Number(value) <= max;
    if (!isNumber)
      return `has ${name}=${value}: it takes ${min === 0 ? '' : '0, or '}a whole number from ${min} to ${max}`;
  }
  return undefined;
}

const amqpUrl = z
  .string()
  .regex(/^amqps?:\/\/.+$/, { message: 'must be amqp://… or amqps://…', abort: true })
  .refine(isServerUrl, { message: NO_SERVER_URL, abort: true })
  .superRefine((text, context) => {
    const message = amqpFault(text);
    if (message !== undefined) context.addIssue({ code: 'custom', message });
  });

const environment = z
  .object({
    HOST: z.string().default('127.0.0.1'),
    PORT: integer(4000, 0, 65_535),
    METRICS_HOST: z.string().default('127.0.0.1'),
    METRICS_PORT: wholeNumber(0, 65_535).optional(),
    DATABASE_URL: databaseUrl,
    DATABASE_POOL_MAX: integer(10, 5, 1_000),
    IBAN_CHECK: z.enum(['strict', 'format']).default('strict'),
    REQUIRE_IDEMPOTENCY_KEY: flag,
    BULK_TRANSFERS_MAX: integer(10_000, 1, BULK_TRANSFERS_LIMIT),
    LOCK_TIMEOUT_MS: integer(5_000, 1, LOCK_TIMEOUT_LIMIT_MS),
    CLOCK_SKEW_MS_MAX: integer(5_000, 100, CLOCK_SKEW_LIMIT_MS),
    REQUEST_TIMEOUT_MS: integer(30_000, 1_000, REQUEST_TIMEOUT_LIMIT_MS),
    BODY_LIMIT_BYTES: integer(10 * MIB, 1_024, 1_024 * MIB),
    BODIES_BYTES_MAX: integer(256 * MIB, 1_024, 64 * 1_024 * MIB),
    AMQP_URL: amqpUrl.optional(),
    OUTBOX_RETENTION: duration('7d'),
    AUTH: z.enum(['on', 'off']).optional(),
    AUTH_JWKS_URL: z.url({ protocol: /^https?$/ }).optional(),
    AUTH_PUBLIC_KEY: publicKey.optional(),
    AUTH_ISSUER: z.string().optional(),
    AUTH_AUDIENCE: z.string().optional(),
    AUTH_ORG_CLAIM: z.string().default('org'),
    AUTH_ROLES_CLAIM: z.string().default('roles'),
    SEED_DEMO: flag,
    INTROSPECTION: flag,
    GRAPHIQL: flag,
    OPERATION_BYTES_MAX: integer(131_072, 1_024, MIB),
    OPERATION_TOKENS_MAX: integer(5_000, 100, 1_000_000),
    OPERATION_DEPTH_MAX: integer(12, 1, 100),
    OPERATION_ALIASES_MAX: integer(30, 0, 10_000),
    OPERATION_ROOT_FIELDS_MAX: integer(20, 1, 10_000),
    OPERATION_COST_MAX: integer(5_000, 1, 1_000_000_000),
    RATE_LIMIT_COST_PER_SECOND: wholeNumber(0, 1_000_000_000).optional(),
    RATE_LIMIT_BURST: integer(50_000, 1, 1_000_000_000),
    WEBSOCKET_CONNECTIONS_MAX: integer(10_000, 0, 1_000_000),
    WEBSOCKET_CONNECTIONS_PER_CALLER_MAX: integer(2_000, 0, 1_000_000),
    SUBSCRIPTIONS_PER_CALLER_MAX: integer(10_000, 0, 1_000_000),
    CONNECTIONS_MAX: integer(20_000, 1, 1_000_000),
    HEADERS_TIMEOUT_MS: integer(10_000, 100, 600_000),
    RECEIVE_TIMEOUT_MS: integer(60_000, 100, 3_600_000),
    SEND_TIMEOUT_MS: integer(60_000, 1_000, 3_600_000),
    ANSWER_BYTES_MAX: integer(16 * MIB, 65_536, 256 * MIB),
    UNREAD_ANSWERS_BYTES_MAX: integer(128 * MIB, 65_536, 64 * 1_024 * MIB),
    STOP_LINGER_MS: integer(1_000, 0, 60_000),
    CORS_ORIGINS: origins,
    TRUST_PROXY: trustedProxies,
    TRUSTED_DOCUMENTS: z.enum(['off', 'log', 'only']).default('off'),
    TRUSTED_DOCUMENTS_FILE: z.string().optional(),
    LOG_LEVEL: z
      .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
      .default('info'),
    LOG_FORMAT: z.enum(['auto', 'json', 'pretty']).default('auto'),
  })
  // Not a setting of ours alone, and so not among them.
  .extend({ NODE_ENV: z.string().optional() })
  .superRefine((env, context) => {
    if (env.BODIES_BYTES_MAX < 2 * env.BODY_LIMIT_BYTES) {
      const message = 'must be at least twice BODY_LIMIT_BYTES: one caller has half of it';
      context.addIssue({ code: 'custom', path: ['BODIES_BYTES_MAX'], message });
    }
    if (env.RATE_LIMIT_BURST < env.OPERATION_COST_MAX) {
      const message = 'must be at least OPERATION_COST_MAX, or such an operation never runs';
      context.addIssue({ code: 'custom', path: ['RATE_LIMIT_BURST'], message });
    }
    if (env.TRUSTED_DOCUMENTS !== 'off' && env.TRUSTED_DOCUMENTS_FILE === undefined) {
      const message = 'must name the manifest where TRUSTED_DOCUMENTS is log or only';
      context.addIssue({ code: 'custom', path: ['TRUSTED_DOCUMENTS_FILE'], message });
    }
  })
  .transform((env) => ({
    host: env.HOST,
    port: env.PORT,
    metricsHost: env.METRICS_HOST,
    metricsPort: env.METRICS_PORT,
    databaseUrl: env.DATABASE_URL,
    databasePoolMax: env.DATABASE_POOL_MAX,
    ibanCheck: env.IBAN_CHECK,
    bulkTransfersMax: env.BULK_TRANSFERS_MAX,
    requiresIdempotencyKey: env.REQUIRE_IDEMPOTENCY_KEY ?? false,
    lockTimeoutMs: env.LOCK_TIMEOUT_MS,
    clockSkewMsMax: env.CLOCK_SKEW_MS_MAX,
    // Whoever waits for a lock is told in time, by whom it waits for.
    requestTimeoutMs: Math.max(env.REQUEST_TIMEOUT_MS, env.LOCK_TIMEOUT_MS + LOCK_MARGIN_MS),
    bodyLimitBytes: env.BODY_LIMIT_BYTES,
    bodiesBytesMax: env.BODIES_BYTES_MAX,
    operationBytesMax: env.OPERATION_BYTES_MAX,
    amqpUrl: env.AMQP_URL,
    outboxRetentionMs: env.OUTBOX_RETENTION,
    introspection: env.INTROSPECTION ?? env.NODE_ENV !== 'production',
    graphiql: env.GRAPHIQL ?? env.NODE_ENV !== 'production',
    operationTokensMax: env.OPERATION_TOKENS_MAX,
    operationDepthMax: env.OPERATION_DEPTH_MAX,
    operationAliasesMax: env.OPERATION_ALIASES_MAX,
    operationRootFieldsMax: env.OPERATION_ROOT_FIELDS_MAX,
    operationCostMax: env.OPERATION_COST_MAX,
    rateLimitCostPerSecond:
      env.RATE_LIMIT_COST_PER_SECOND ??
      (LOOPBACK_HOSTS.includes(env.HOST) ? 0 : RATE_LIMIT_COST_PER_SECOND),
    rateLimitBurst: env.RATE_LIMIT_BURST,
    websocketConnectionsMax: env.WEBSOCKET_CONNECTIONS_MAX,
    websocketConnectionsPerCallerMax: env.WEBSOCKET_CONNECTIONS_PER_CALLER_MAX,
    subscriptionsPerCallerMax: env.SUBSCRIPTIONS_PER_CALLER_MAX,
    connectionsMax: env.CONNECTIONS_MAX,
    headersTimeoutMs: env.HEADERS_TIMEOUT_MS,
    receiveTimeoutMs: env.RECEIVE_TIMEOUT_MS,
    sendTimeoutMs: env.SEND_TIMEOUT_MS,
    answerBytesMax: env.ANSWER_BYTES_MAX,
    unreadAnswersBytesMax: env.UNREAD_ANSWERS_BYTES_MAX,
    stopLingerMs: env.STOP_LINGER_MS,
    corsOrigins: env.CORS_ORIGINS,
    trustedProxies: env.TRUST_PROXY,
    trustedDocuments: env.TRUSTED_DOCUMENTS,
    trustedDocumentsFile: env.TRUSTED_DOCUMENTS_FILE,
    authentication: authenticationOf(env),
    seedDemo: env.SEED_DEMO ?? env.DATABASE_URL.startsWith('sqlite:'),
    logLevel: env.LOG_LEVEL,
    logFormat: env.LOG_FORMAT,
  }));

/** The names of all settings. NODE_ENV is not one of ours alone. */
export const SETTINGS: readonly string[] = Object.keys(environment.in.shape).filter(
  (name) => name !== 'NODE_ENV',
);

/** The server's settings: see .env.example for what each means. */
export type Config = Readonly<
  z.infer<typeof environment> & {
    /** Names in .env that no setting has. */
    unknownNames: readonly string[];
  }
>;

/** Raised at start where the environment is wrong; the message names every variable that is. */
export class ConfigError extends ExplainedError {
  override readonly name = 'ConfigError';
}

/**
 * Reads the settings from an environment, by default that of the process and of .env; an empty variable
 * counts as absent. A name that resembles a setting is refused: nobody finds out otherwise that it does nothing.
 * @throws ConfigError
 */
export function loadConfig(env?: NodeJS.ProcessEnv): Config {
  const given: Environment =
    env === undefined ? readEnvironment(process.env) : { values: env, fileNames: [] };
  const values = Object.entries(given.values).filter(([, value]) => value !== '');
  const { misspelt, others } = findUnknownNames(given, SETTINGS);
  const result = environment.safeParse(Object.fromEntries(values));
  const faults = [...misspelt].map(([name, meant]) => `${name}: is no setting; is it ${meant}?`);
  for (const { path, message } of result.error?.issues ?? []) {
    faults.push(`${path.join('.')}: ${message}`);
  }
  if (result.success && faults.length === 0) {
    return Object.freeze({ ...result.data, unknownNames: others });
  }
  const lines = faults.map((fault) => `  ${fault}`);
  throw new ConfigError(`The environment is not right:\n${lines.join('\n')}`);
}
