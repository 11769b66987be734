import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { BANK_RULES } from './domain/kinds.js';
import { TRANSFERS_PER_BULK_LIMIT } from './domain/postings.js';
import {
  type Environment,
  fileNameOf,
  findUnknownNames,
  readEnvironment,
  readSecretFiles,
} from './environment.js';
import { parseMySqlUrl } from './infrastructure/database/mysql-url.js';
import { ExplainedError } from './infrastructure/observability/explained-error.js';
import { reasonOf } from './infrastructure/observability/secrets.js';
import type { TraceExportSettings } from './infrastructure/observability/trace-export.js';
import { authenticationOf } from './server/access/authentication-settings.js';
import { LOOPBACK_HOSTS } from './server/access/loopback.js';
import { isAddressRange } from './server/access/remote-address.js';

const MIB = 1_024 * 1_024;

/** The largest LOCK_TIMEOUT_MS: ten minutes. Every client has given up by then. */
const LOCK_TIMEOUT_LIMIT_MS = 600_000;

const REQUEST_TIMEOUT_LIMIT_MS = 3_600_000;

/** The largest CLOCK_SKEW_MS_MAX: a year, which is practically no limit. */
const CLOCK_SKEW_LIMIT_MS = 366 * 86_400_000;

/** The time that a request needs in addition to its wait for a lock. */
const LOCK_MARGIN_MS = 5_000;

/** The largest ORDER_BULK_TRANSFERS_MAX. A bulk of more transfers holds the lock of its account for several seconds. */
const ORDER_BULK_TRANSFERS_LIMIT = 500_000;

/** The largest BULK_TRANSFERS_MAX. A balance can hold 90,000 amounts of 999,999,999.99, the largest amount in euro. */
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

/** A duration, such as 7d: a number and a unit. The result is in milliseconds. */
const duration = (fallback: string) =>
  z
    .string()
    .regex(/^[1-9][0-9]{0,4}[mhd]$/, 'must be minutes, hours or days: 90m, 36h or 7d')
    .default(fallback)
    .transform((text) => Number(text.slice(0, -1)) * (UNIT_MS[text.slice(-1)] ?? Number.NaN));

/** Origins in the form that browsers send, separated by commas. */
const origins = z
  .string()
  .transform((text) => text.split(',').map((each) => each.trim()))
  .refine((list) => list.every((each) => URL.canParse(each) && new URL(each).origin === each), {
    message: 'must be origins, separated by commas: https://app.example,http://localhost:3000',
  })
  .default([]);

/**
 * The number of trusted proxies, or their addresses and networks, separated by commas. With 0 or no value, no proxy is
 * trusted.
 */
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

/** A PEM with real line breaks or \n, or the path of a file that contains it. */
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

/** The cost that one caller may spend each second if HOST is not loopback: 1,000 small bulks. */
const RATE_LIMIT_COST_PER_SECOND = 10_000;

/** Tells whether a URL is valid, has a port to connect to, and has no invalid percent-encoding. */
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
  'is not a URL: check the port, 1 to 65535, and percent-encode special characters in the password';

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
        throw new ExplainedError('has a ?, but sqlite:FILE takes no options');
      }
    } catch (error) {
      context.addIssue({ code: 'custom', message: reasonOf(error) });
    }
  })
  .default('sqlite:data/virement.db');

/** The smallest frame limit that AMQP 0-9-1 allows: 4.2.3. */
const AMQP_FRAME_BYTES_MIN = 4_096;
const UINT16_MAX = 65_535;
const UINT32_MAX = 4_294_967_295;

/**
 * Options that amqplib reads from the URL of a broker, with the minimum and the maximum of each; undefined for a text.
 * 0 means no heartbeat, or no limit.
 */
const AMQP_OPTIONS: Readonly<Record<string, readonly [number, number] | undefined>> = {
  heartbeat: [0, UINT16_MAX],
  channelMax: [0, UINT16_MAX],
  frameMax: [AMQP_FRAME_BYTES_MIN, UINT32_MAX],
  maxFrameSize: [AMQP_FRAME_BYTES_MIN, UINT32_MAX],
  locale: undefined,
};

/** Returns the fault in the options of a broker's URL; undefined if there is none. */
function amqpFault(text: string): string | undefined {
  const options = [...new URL(text).searchParams];
  for (const [index, [name, value]] of options.entries()) {
    if (!Object.hasOwn(AMQP_OPTIONS, name)) {
      return `has an unknown option: allowed are ${Object.keys(AMQP_OPTIONS).join(', ')}`;
    }
    if (options.findIndex(([other]) => other === name) < index) return `has ${name} twice`;
    const [min, max] = AMQP_OPTIONS[name] ?? [];
    if (min === undefined || max === undefined || value === '0') continue;
    const isNumber = /^[0-9]{1,10}$/.test(value) && Number(value) >= min && Number(value) <= max;
    if (!isNumber)
      return `has ${name}=${value}: it must be ${min === 0 ? '' : '0, or '}a whole number from ${min} to ${max}`;
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

const proxyUrl = z
  .string()
  .regex(/^https?:\/\/[^/?#]+\/?$/, {
    message: 'must be http://HOST:PORT or https://HOST:PORT, without a path',
    abort: true,
  })
  .refine(isServerUrl, { message: NO_SERVER_URL });

const otlpUrl = z.url({ protocol: /^https?$/ }).refine((text) => !text.endsWith('/v1/traces'), {
  message: 'must be the URL of the collector without /v1/traces',
});

/** Headers in the form of W3C Baggage: name=value, separated by commas. */
const otlpHeaders = z
  .string()
  .regex(/^[^=,\s]+=[^,\s]*(,[^=,\s]+=[^,\s]*)*$/, 'must be name=value, separated by commas')
  .transform((text) =>
    Object.fromEntries(
      text.split(',').map((pair) => {
        const [name = '', ...value] = pair.split('=');
        return [name, decodeURIComponent(value.join('='))];
      }),
    ),
  )
  .optional();

/** A share from 0 to 1. */
const share = z
  .string()
  .regex(/^(0|1|0?\.[0-9]{1,6}|1\.0+)$/, 'must be a number from 0 to 1')
  .default('1')
  .transform(Number);

/*
 * Every setting is in one of the groups below, with its description. `npm run settings:emit` makes docs/settings.md and
 * .env.example from them. Beside the description, meta takes `allowed` and `unset`. `allowed` describes the values if
 * the schema has neither an enum nor a range. `unset` describes the effect of a missing value if the schema has no
 * default.
 */

const LISTENING = {
  HOST: z.string().default('127.0.0.1').meta({
    description:
      'Address that the server listens on. 127.0.0.1 accepts connections from this machine only, 0.0.0.0 from every network.',
    allowed: 'an address or a host name',
  }),
  PORT: integer(4000, 0, 65_535).meta({
    description:
      'TCP port that the server listens on; 0 takes any free port. Under compose it is the port of the host.',
  }),
  METRICS_HOST: z.string().default('127.0.0.1').meta({
    description: 'Address that METRICS_PORT listens on.',
    allowed: 'an address or a host name',
  }),
  METRICS_PORT: wholeNumber(0, 65_535).optional().meta({
    description: 'TCP port that serves /metrics alone, without authentication.',
    unset: '/metrics is served on PORT, for the roles monitor and operator',
  }),
};

const DATABASE = {
  DATABASE_URL: databaseUrl.meta({
    description:
      'Database that holds the ledger. A URL of MySQL or MariaDB takes ssl-mode and other TLS options. Compose sets it for its own MySQL.',
    allowed:
      'sqlite:FILE, sqlite::memory:, mysql://USER:PASSWORD@HOST/DATABASE or mariadb://USER:PASSWORD@HOST/DATABASE',
  }),
  DATABASE_POOL_MAX: integer(10, 5, 1_000).meta({
    description:
      'Largest number of connections to MySQL or MariaDB. Two of them are kept for reads, or one of 5, and one for the search tables.',
  }),
  LOCK_TIMEOUT_MS: integer(5_000, 1, LOCK_TIMEOUT_LIMIT_MS).meta({
    description:
      'Time that a request waits for the lock of an account before AccountBusy. MySQL and MariaDB round it up to whole seconds.',
  }),
  CLOCK_SKEW_MS_MAX: integer(5_000, 100, CLOCK_SKEW_LIMIT_MS).meta({
    description:
      "Largest difference between the server's clock and the database's. The server refuses to write while the difference is larger, and /readyz answers 503.",
  }),
  SEED_DEMO: flag.meta({
    description: 'Whether the server creates the demo companies at start, once.',
    unset: 'true on SQLite and under compose, else false',
  }),
};

const BULK_TRANSFERS = {
  BULK_TRANSFERS_MAX: integer(10_000, 1, BULK_TRANSFERS_LIMIT).meta({
    description: 'Largest number of credit transfers in one bulk.',
  }),
  ORDER_BULK_TRANSFERS_MAX: integer(100_000, 1, ORDER_BULK_TRANSFERS_LIMIT).meta({
    description:
      'Largest number of credit transfers in one bulk of an order. An order with more rows is performed as several bulks, one after another.',
  }),
  ORDER_RETENTION: duration('30d').meta({
    description:
      'Time after which an order that nobody changes expires, and after which the rows of an order that has ended are deleted.',
    allowed: '1 to 99999 minutes, hours or days: 90m, 36h, 7d',
  }),
  IBAN_CHECK: z.enum(['strict', 'format']).default('strict').meta({
    description:
      'How IBANs are checked. strict checks country, length, structure and check digits; format checks the shape only, for sandboxes and masked data.',
  }),
  REQUIRE_IDEMPOTENCY_KEY: flag.default(false).meta({
    description:
      'Whether performBulkTransfer and creditAccount refuse a request without an idempotency key.',
  }),
};

const EVENTS = {
  AMQP_URL: amqpUrl.optional().meta({
    description: 'RabbitMQ that events are published to.',
    allowed: 'amqp://USER:PASSWORD@HOST or amqps://USER:PASSWORD@HOST',
    unset: 'events stay in the process, which must be the only server of its database',
  }),
  OUTBOX_RETENTION: duration('7d').meta({
    description: 'Time that published outbox messages are kept.',
    allowed: '1 to 99999 minutes, hours or days: 90m, 36h, 7d',
  }),
};

/** The shortest secret: a key of HMAC-SHA-256 should have as many bytes as its hash. */
const SECRET_CHARACTERS_MIN = 32;

const FILES = {
  IMPORT_BYTES_MAX: integer(100 * MIB, 1_024, 2_000 * MIB).meta({
    description:
      'Largest file of transfers that is imported. Eight at most are kept on the disk at once, in the folder for temporary files.',
  }),
  BANK_RULES: z.enum(BANK_RULES).default('none').meta({
    description:
      'Rules of banks for the rows of orders, beside those of this server. With sepa, a value that breaks a rule of SEPA is a problem; with none, it is a warning.',
  }),
  EXPORT_LINK_SECRET: z
    .string()
    .min(SECRET_CHARACTERS_MIN, `must have at least ${SECRET_CHARACTERS_MIN} characters`)
    .optional()
    .meta({
      description:
        'Secret that signs links to exported files. All servers of a database need the same one.',
      allowed: `any text of at least ${SECRET_CHARACTERS_MIN} characters: openssl rand -base64 32`,
      unset:
        'a random one for each process: a link works on the server that signed it, until it stops',
    }),
};

const WEBHOOKS = {
  WEBHOOK_PROXY_URL: proxyUrl.optional().meta({
    description:
      'Proxy that all calls of webhooks go through. The proxy must refuse the addresses of private networks.',
    allowed: 'http://USER:PASSWORD@HOST:PORT or https://USER:PASSWORD@HOST:PORT',
    unset: 'the server calls the receivers of webhooks itself',
  }),
  WEBHOOK_RETENTION: duration('30d').meta({
    description: 'Time that finished deliveries of webhooks are kept.',
    allowed: '1 to 99999 minutes, hours or days: 90m, 36h, 7d',
  }),
};

const TRACES = {
  OTEL_EXPORTER_OTLP_ENDPOINT: otlpUrl.optional().meta({
    description: 'Collector of OpenTelemetry that traces are sent to, by OTLP over HTTP.',
    allowed: 'an http or https URL, without /v1/traces: http://127.0.0.1:4318',
    unset: 'nothing is traced',
  }),
  OTEL_EXPORTER_OTLP_HEADERS: otlpHeaders.meta({
    description: 'Headers that are sent to the collector, such as a credential.',
    allowed: 'name=value, separated by commas; values percent-encoded',
    unset: 'none',
  }),
  OTEL_SERVICE_NAME: z.string().min(1).default('virement').meta({
    description: 'Name of this service in traces.',
    allowed: 'any text',
  }),
  OTEL_TRACES_SAMPLER_ARG: share.meta({
    description:
      'Share of the traces that are recorded. A request with a traceparent is recorded if its sender records it.',
    allowed: 'a number from 0 to 1',
  }),
};

const ERRORS = {
  SENTRY_DSN: z
    .url({ protocol: /^https?$/ })
    .refine((text) => new URL(text).username !== '' && /\/[0-9]+$/.test(text), {
      message: 'must be http://KEY@HOST/PROJECT or https://KEY@HOST/PROJECT',
    })
    .optional()
    .meta({
      description: "Receiver of unexpected errors, which speaks Sentry's protocol.",
      allowed: 'https://KEY@HOST/PROJECT',
      unset: 'errors are in the log alone',
    }),
  SENTRY_ENVIRONMENT: z.string().optional().meta({
    description: 'Name of this installation in reports of errors.',
    allowed: 'any text',
    unset: "the receiver's default",
  }),
};

const AUTHENTICATION = {
  AUTH: z.enum(['on', 'off']).optional().meta({
    description:
      'Whether callers authenticate. off is accepted only where HOST is loopback and NODE_ENV is not production.',
    unset: 'off on loopback in development, unless a key is set; else on',
  }),
  AUTH_JWKS_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .meta({
      description:
        "URL of the identity provider's public keys. Set either AUTH_JWKS_URL or AUTH_PUBLIC_KEY.",
      allowed: 'an http or https URL',
    }),
  AUTH_PUBLIC_KEY: publicKey.optional().meta({
    description: "The identity provider's public key.",
    allowed: 'a PEM with \\n for its line breaks, or the path of a file that holds a PEM',
  }),
  AUTH_ISSUER: z.string().optional().meta({
    description: 'Issuer that tokens must have in their claim iss.',
    allowed: 'any text',
  }),
  AUTH_AUDIENCE: z.string().optional().meta({
    description: 'Audience that tokens must have in their claim aud.',
    allowed: 'any text',
  }),
  AUTH_ORG_CLAIM: z.string().default('org').meta({
    description: "Claim that lists the ids of the caller's organizations.",
    allowed: 'the name of a claim, or a path with dots: tenant.ids',
  }),
  AUTH_ROLES_CLAIM: z.string().default('roles').meta({
    description: "Claim that lists the caller's roles: viewer, initiator, operator, monitor.",
    allowed: 'the name of a claim, or a path with dots: realm_access.roles',
  }),
};

const GRAPHQL = {
  INTROSPECTION: flag.meta({
    description: 'Whether clients may read the schema, by introspection and at /schema.graphql.',
    unset: 'false where NODE_ENV is production, as in the image; else true',
  }),
  GRAPHIQL: flag.meta({
    description: 'Whether the server serves GraphiQL, which needs INTROSPECTION.',
    unset: 'false where NODE_ENV is production, as in the image; else true',
  }),
  TRUSTED_DOCUMENTS: z.enum(['off', 'log', 'only']).default('off').meta({
    description:
      'Whether the server runs trusted documents only. off runs every document, log also logs the hash of each other document, only refuses other documents.',
  }),
  TRUSTED_DOCUMENTS_FILE: z.string().optional().meta({
    description:
      'Manifest of the trusted documents, persisted-documents.json as npm run codegen writes it. Needed if TRUSTED_DOCUMENTS is log or only.',
    allowed: 'the path of a file',
  }),
  OPERATION_BYTES_MAX: integer(131_072, 1_024, MIB).meta({
    description: 'Largest size of the text of a GraphQL document.',
  }),
  OPERATION_TOKENS_MAX: integer(5_000, 100, 1_000_000).meta({
    description: 'Largest number of tokens in a GraphQL document.',
  }),
  OPERATION_DEPTH_MAX: integer(12, 1, 100).meta({
    description: 'Largest number of nested levels of fields in an operation.',
  }),
  OPERATION_ALIASES_MAX: integer(30, 0, 10_000).meta({
    description: 'Largest number of aliases in an operation.',
  }),
  OPERATION_ROOT_FIELDS_MAX: integer(20, 1, 10_000).meta({
    description: 'Largest number of fields at the root of an operation.',
  }),
  OPERATION_COST_MAX: integer(5_000, 1, 1_000_000_000).meta({
    description: 'Largest cost of an operation. docs/limits.md lists the cost of each field.',
  }),
};

const CALLERS = {
  RATE_LIMIT_COST_PER_SECOND: wholeNumber(0, 1_000_000_000)
    .optional()
    .meta({
      description: 'Cost that each caller may spend every second; 0 sets no rate limit.',
      unset: `0 where HOST is loopback, else ${RATE_LIMIT_COST_PER_SECOND}`,
    }),
  RATE_LIMIT_BURST: integer(50_000, 1, 1_000_000_000).meta({
    description:
      'Cost that a caller may spend at once after a quiet time. It is at least OPERATION_COST_MAX.',
  }),
  WEBSOCKET_CONNECTIONS_MAX: integer(10_000, 0, 1_000_000).meta({
    description: 'Largest number of WebSocket connections in all.',
  }),
  WEBSOCKET_CONNECTIONS_PER_CALLER_MAX: integer(2_000, 0, 1_000_000).meta({
    description: 'Largest number of WebSocket connections from one address.',
  }),
  SUBSCRIPTIONS_PER_CALLER_MAX: integer(10_000, 0, 1_000_000).meta({
    description: 'Largest number of subscriptions of one caller, over all transports together.',
  }),
};

const REQUESTS = {
  REQUEST_TIMEOUT_MS: integer(30_000, 1_000, REQUEST_TIMEOUT_LIMIT_MS).meta({
    description: `Time that a request may take, its SQL statements included. The server uses at least LOCK_TIMEOUT_MS + ${LOCK_MARGIN_MS} ms.`,
  }),
  BODY_LIMIT_BYTES: integer(10 * MIB, 1_024, 1_024 * MIB).meta({
    description: 'Largest size of the body of one request.',
  }),
  BODIES_BYTES_MAX: integer(256 * MIB, 1_024, 64 * 1_024 * MIB).meta({
    description:
      'Largest size of all bodies that are being received. It is at least twice BODY_LIMIT_BYTES, and one caller may use half of it.',
  }),
  ANSWER_BYTES_MAX: integer(16 * MIB, 65_536, 256 * MIB).meta({
    description: 'Largest size of one answer.',
  }),
  UNREAD_ANSWERS_BYTES_MAX: integer(128 * MIB, 65_536, 64 * 1_024 * MIB).meta({
    description:
      'Largest size of all answers that clients have not read yet. Above it the server disconnects slow readers.',
  }),
  CONNECTIONS_MAX: integer(20_000, 1, 1_000_000).meta({
    description: 'Largest number of TCP connections, WebSockets included.',
  }),
  HEADERS_TIMEOUT_MS: integer(10_000, 100, 600_000).meta({
    description: 'Time that a client may take to send the headers of a request.',
  }),
  RECEIVE_TIMEOUT_MS: integer(60_000, 100, 3_600_000).meta({
    description: 'Time that a client may take to send a whole request.',
  }),
  SEND_TIMEOUT_MS: integer(60_000, 1_000, 3_600_000).meta({
    description: 'Time that a client may take to read an answer.',
  }),
  STOP_LINGER_MS: integer(1_000, 0, 60_000).meta({
    description: 'Time during which a stopping server still answers on open connections.',
  }),
  SHUTDOWN_TIMEOUT_MS: integer(50_000, 1_000, 3_600_000).meta({
    description:
      'Time within which a stopping server ends. It exits with 1 if requests, calls of webhooks or connections need longer.',
  }),
};

const BROWSERS_AND_PROXIES = {
  CORS_ORIGINS: origins.meta({
    description: "Origins, beside the server's own, whose pages may call the server.",
    allowed: 'origins, separated by commas: https://app.example,http://localhost:3000',
  }),
  TRUST_PROXY: trustedProxies.meta({
    description: 'Proxies whose X-Forwarded-For the server trusts.',
    allowed: 'the number of proxies, or their addresses and networks, separated by commas',
    unset: 'none',
  }),
};

const LOGS = {
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .meta({ description: 'Lowest level of messages that are logged.' }),
  LOG_OPERATIONS: z.enum(['all', 'errors', 'none']).default('all').meta({
    description:
      'Which operations have a line in the log: all, those that were refused or failed, or none. LOG_LEVEL=warn omits all of them.',
  }),
  LOG_FORMAT: z.enum(['auto', 'json', 'pretty']).default('auto').meta({
    description: 'Format of the log. auto is pretty on a terminal, else json.',
  }),
};

/** Every setting, by the heading of its group in the documents. */
export const SETTING_GROUPS = {
  Listening: LISTENING,
  Database: DATABASE,
  'Bulk transfers': BULK_TRANSFERS,
  Events: EVENTS,
  Webhooks: WEBHOOKS,
  Files: FILES,
  Authentication: AUTHENTICATION,
  GraphQL: GRAPHQL,
  Callers: CALLERS,
  'Requests and connections': REQUESTS,
  'Browsers and proxies': BROWSERS_AND_PROXIES,
  Logs: LOGS,
  Traces: TRACES,
  Errors: ERRORS,
} as const;

const environment = z
  .object({
    ...LISTENING,
    ...DATABASE,
    ...BULK_TRANSFERS,
    ...EVENTS,
    ...WEBHOOKS,
    ...FILES,
    ...AUTHENTICATION,
    ...GRAPHQL,
    ...CALLERS,
    ...REQUESTS,
    ...BROWSERS_AND_PROXIES,
    ...LOGS,
    ...TRACES,
    ...ERRORS,
  })
  // NODE_ENV is Node's own variable, so it is not in SETTINGS.
  .extend({ NODE_ENV: z.string().optional() })
  .superRefine((env, context) => {
    if (env.BODIES_BYTES_MAX < 2 * env.BODY_LIMIT_BYTES) {
      const message =
        'must be at least twice BODY_LIMIT_BYTES, because one caller may use half of it';
      context.addIssue({ code: 'custom', path: ['BODIES_BYTES_MAX'], message });
    }
    if (env.RATE_LIMIT_BURST < env.OPERATION_COST_MAX) {
      const message =
        'must be at least OPERATION_COST_MAX, or the most expensive operations can never run';
      context.addIssue({ code: 'custom', path: ['RATE_LIMIT_BURST'], message });
    }
    if (env.TRUSTED_DOCUMENTS !== 'off' && env.TRUSTED_DOCUMENTS_FILE === undefined) {
      const message = 'must name the manifest if TRUSTED_DOCUMENTS is log or only';
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
    orderBulkTransfersMax: env.ORDER_BULK_TRANSFERS_MAX,
    orderRetentionMs: env.ORDER_RETENTION,
    requiresIdempotencyKey: env.REQUIRE_IDEMPOTENCY_KEY,
    lockTimeoutMs: env.LOCK_TIMEOUT_MS,
    clockSkewMsMax: env.CLOCK_SKEW_MS_MAX,
    // The request timeout is longer than the lock timeout, so a request that waits for a lock gets AccountBusy first.
    requestTimeoutMs: Math.max(env.REQUEST_TIMEOUT_MS, env.LOCK_TIMEOUT_MS + LOCK_MARGIN_MS),
    bodyLimitBytes: env.BODY_LIMIT_BYTES,
    bodiesBytesMax: env.BODIES_BYTES_MAX,
    operationBytesMax: env.OPERATION_BYTES_MAX,
    amqpUrl: env.AMQP_URL,
    outboxRetentionMs: env.OUTBOX_RETENTION,
    webhookProxyUrl: env.WEBHOOK_PROXY_URL,
    webhookRetentionMs: env.WEBHOOK_RETENTION,
    exportLinkSecret: env.EXPORT_LINK_SECRET,
    importBytesMax: env.IMPORT_BYTES_MAX,
    bankRules: env.BANK_RULES,
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
    shutdownTimeoutMs: env.SHUTDOWN_TIMEOUT_MS,
    corsOrigins: env.CORS_ORIGINS,
    trustedProxies: env.TRUST_PROXY,
    trustedDocuments: env.TRUSTED_DOCUMENTS,
    trustedDocumentsFile: env.TRUSTED_DOCUMENTS_FILE,
    authentication: authenticationOf(env),
    seedDemo: env.SEED_DEMO ?? env.DATABASE_URL.startsWith('sqlite:'),
    traceExport: traceExportOf(env),
    errorReports:
      env.SENTRY_DSN === undefined
        ? undefined
        : { dsn: env.SENTRY_DSN, environment: env.SENTRY_ENVIRONMENT },
    logLevel: env.LOG_LEVEL,
    logFormat: env.LOG_FORMAT,
    loggedOperations: env.LOG_OPERATIONS,
  }));

/** The export of traces; undefined if there is no collector. */
function traceExportOf(env: {
  readonly OTEL_EXPORTER_OTLP_ENDPOINT?: string | undefined;
  readonly OTEL_EXPORTER_OTLP_HEADERS?: Readonly<Record<string, string>> | undefined;
  readonly OTEL_SERVICE_NAME: string;
  readonly OTEL_TRACES_SAMPLER_ARG: number;
}): TraceExportSettings | undefined {
  if (env.OTEL_EXPORTER_OTLP_ENDPOINT === undefined) return undefined;
  return {
    endpoint: env.OTEL_EXPORTER_OTLP_ENDPOINT,
    headers: env.OTEL_EXPORTER_OTLP_HEADERS ?? {},
    serviceName: env.OTEL_SERVICE_NAME,
    share: env.OTEL_TRACES_SAMPLER_ARG,
  };
}

/** The names of all settings. NODE_ENV is Node's own variable. */
export const SETTINGS: readonly string[] = Object.keys(environment.in.shape).filter(
  (name) => name !== 'NODE_ENV',
);

/** The settings that may contain a password or a key. Each can be read from a file: DATABASE_URL_FILE names the file. */
export const SECRETS: readonly string[] = [
  'DATABASE_URL',
  'AMQP_URL',
  'WEBHOOK_PROXY_URL',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'SENTRY_DSN',
  'EXPORT_LINK_SECRET',
];

/** The server's settings; docs/settings.md describes each. */
export type Config = Readonly<
  z.infer<typeof environment> & {
    /** Names in .env that are not settings. */
    unknownNames: readonly string[];
  }
>;

/** The error for an invalid environment at start. The message names every wrong variable. */
export class ConfigError extends ExplainedError {
  override readonly name = 'ConfigError';
}

/** Returns the token with which a command calls a server; undefined if VIREMENT_TOKEN is absent or empty. */
export function callerToken(): string | undefined {
  return process.env.VIREMENT_TOKEN || undefined;
}

/**
 * Reads the settings from an environment; the default is the environment of the process and .env. An empty variable
 * counts as absent. A name that resembles a setting is refused, because it would silently have no effect.
 * @throws ConfigError
 */
export function loadConfig(env?: NodeJS.ProcessEnv): Config {
  const given: Environment =
    env === undefined ? readEnvironment(process.env) : { values: env, fileNames: [] };
  const values = Object.entries(given.values).filter(([, value]) => value !== '');
  const { misspelt, others } = findUnknownNames(given, [...SETTINGS, ...SECRETS.map(fileNameOf)]);
  const secrets = readSecretFiles(given.values, SECRETS);
  const result = environment.safeParse({ ...Object.fromEntries(values), ...secrets.values });
  const faults = [...misspelt].map(
    ([name, meant]) => `${name}: is not a setting; did you mean ${meant}?`,
  );
  faults.push(...secrets.faults);
  for (const { path, message } of result.error?.issues ?? []) {
    faults.push(`${path.join('.')}: ${message}`);
  }
  if (result.success && faults.length === 0) {
    return Object.freeze({ ...result.data, unknownNames: others });
  }
  const lines = faults.map((fault) => `  ${fault}`);
  throw new ConfigError(`The settings are wrong:\n${lines.join('\n')}`);
}
