/**
 * Calls the receivers of webhooks: one POST for each attempt, signed as Standard Webhooks says
 * (https://www.standardwebhooks.com). A receiver is a stranger's server, so nothing that it does may harm this one:
 *
 * - Addresses: `egress-policy.ts` decides which may be called. A redirect is a response like any other.
 * - Time: a call ends after `timeoutMs`, its look-up, connection, headers and body included. Look-ups occupy no thread.
 * - Memory: the headers have 16 KiB at most, and 64 KiB of the body are read. A body is never decompressed.
 * - Sockets: each origin has a limited number, and so have all origins together. Unused ones are closed after 10 s.
 *
 * Through a proxy, the proxy looks host names up. This server then checks address literals and names of localhost only,
 * so the proxy itself must refuse the addresses of private networks. The proxy's own address is not checked.
 */
import { Webhook } from 'standardwebhooks';
import { Agent, buildConnector, type Dispatcher, Pool, ProxyAgent } from 'undici';
import { webhookUrlProblems } from '../../domain/webhook-url.js';
import { VERSION } from '../../files.js';
import { activeTraceparent } from '../observability/tracing.js';
import {
  addressLiteralOf,
  isAllowedAddress,
  isLocalhostName,
  type LookupAll,
  makeGuardedLookup,
  RefusedAddressError,
} from './egress-policy.js';
import { failureSentence, isOwnFailure, ProxyUnreachableError } from './failure-sentence.js';
import { makeNameLookup } from './name-lookup.js';
import { ResponseText } from './response-text.js';
import { readRetryAfter } from './retry-after.js';

const TIMEOUT_MS_DEFAULT = 10_000;
const CONNECTIONS_PER_ORIGIN_DEFAULT = 10;

/** The default of originsMax. The sockets are bounded by the calls in progress, and by IDLE_SOCKET_MS. */
const ORIGINS_MAX_DEFAULT = 10_000;

const IDLE_SOCKET_MS = 10_000;
const HEADER_BYTES_MAX = 16_384;

/** The timers of undici are off, because the signal of a call covers the whole exchange. */
const NO_TIMEOUT = 0;

/** How a WebhookSender calls. */
export interface WebhookSenderOptions {
  /** Whether loopback addresses may be called, also by http. It is meant for development. The default is false. */
  readonly allowsLoopback?: boolean;
  /** The http or https URL of the proxy for all calls, with its user and password; undefined for direct calls. */
  readonly proxyUrl?: string | undefined;
  /** The time for one call in milliseconds. The default is 10,000. */
  readonly timeoutMs?: number;
  /** The largest number of sockets of one origin; more calls wait. The default is 10. */
  readonly connectionsPerOrigin?: number;
  /** The largest number of origins that have sockets; calls to more of them fail. The default is 10,000. */
  readonly originsMax?: number;
  /** The resolver of host names. The default is makeNameLookup. */
  readonly lookup?: LookupAll;
  /** Certificates of authorities, as PEM, that are trusted in place of Node's own. */
  readonly trustedCertificates?: string;
}

/** One attempt to deliver an event. */
export interface WebhookCall {
  /** The id of the event, the same for each attempt. Receivers recognise a repetition by it. */
  readonly id: string;
  readonly url: string;
  /** The CloudEvent as JSON. */
  readonly body: string;
  /** The secrets that sign the call, newest first: whsec_ and the key in base64. */
  readonly secrets: readonly string[];
  /** The time of the attempt. Receivers refuse a call that is too old. */
  readonly timestamp: Date;
}

/**
 * The outcome of an attempt. The receiver has accepted the event if `httpStatus` is 200 to 299. If the response broke off
 * after its headers, `error` is set too.
 */
export interface WebhookOutcome {
  /** The status of the response; null if there was none. */
  readonly httpStatus: number | null;
  /** A sentence for the owner of the webhook; null if the response was read. */
  readonly error: string | null;
  /** The first 1,024 bytes of the response as text; null if there was no response. */
  readonly responseBody: string | null;
  /** The duration of the attempt in whole milliseconds. */
  readonly durationMs: number;
  /** The time that the receiver asks to wait, up to 24 hours; null if it asks for none. */
  readonly retryAfterMs: number | null;
  /** Tells whether the call failed before it left this server's own network, so the receiver is not to blame. */
  readonly isOwnFailure: boolean;
}

type Response = Omit<WebhookOutcome, 'durationMs'>;

const NO_RESPONSE = {
  httpStatus: null,
  responseBody: null,
  retryAfterMs: null,
  isOwnFailure: false,
};

/** Calls receivers, over connections that are kept open for a while. */
export class WebhookSender {
  readonly #allowsLoopback: boolean;
  readonly #usesProxy: boolean;
  readonly #timeoutMs: number;
  readonly #dispatcher: Dispatcher;

  constructor(options: WebhookSenderOptions = {}) {
    this.#allowsLoopback = options.allowsLoopback ?? false;
    this.#usesProxy = options.proxyUrl !== undefined;
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS_DEFAULT;
    this.#dispatcher = makeDispatcher(options, this.#timeoutMs);
  }

  /** Makes one attempt. The promise never rejects: every failure is an outcome. */
  async send(call: WebhookCall): Promise<WebhookOutcome> {
    const startedAtMs = performance.now();
    const response = await this.#exchange(call).catch(
      (error: unknown): Response => ({
        ...NO_RESPONSE,
        error: this.#sentenceOf(error),
        isOwnFailure: isOwnFailure(error),
      }),
    );
    return { ...response, durationMs: Math.round(performance.now() - startedAtMs) };
  }

  /** Ends all sockets. Attempts that are being made end with an error. */
  async close(): Promise<void> {
    await this.#dispatcher.destroy();
  }

  async #exchange(call: WebhookCall): Promise<Response> {
    const url = URL.canParse(call.url) ? new URL(call.url) : undefined;
    if (url) this.#refuseHost(url.hostname);
    if (!url || webhookUrlProblems(call.url, { allowsLoopback: this.#allowsLoopback }).length > 0) {
      return { ...NO_RESPONSE, error: 'The URL is not valid.' };
    }
    const { statusCode, headers, body } = await this.#dispatcher.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: 'POST',
      headers: headersOf(call),
      body: call.body,
      signal: AbortSignal.timeout(this.#timeoutMs),
    });
    const { text, failure } = await readText(body);
    return {
      httpStatus: statusCode,
      error: failure === undefined ? null : this.#sentenceOf(failure),
      responseBody: text,
      retryAfterMs: readRetryAfter([headers['retry-after']].flat()[0], Date.now()),
      isOwnFailure: false,
    };
  }

  /** Throws a RefusedAddressError for a host that is refused before any look-up. */
  #refuseHost(hostname: string): void {
    const literal = addressLiteralOf(hostname);
    const isRefused =
      literal === undefined
        ? isLocalhostName(hostname) && !this.#allowsLoopback
        : !isAllowedAddress(literal, { allowsLoopback: this.#allowsLoopback });
    if (isRefused) throw new RefusedAddressError();
  }

  #sentenceOf(error: unknown): string {
    return failureSentence(error, { timeoutMs: this.#timeoutMs, usesProxy: this.#usesProxy });
  }
}

/** Makes the connection pools, one for each origin. */
function makeDispatcher(options: WebhookSenderOptions, timeoutMs: number): Dispatcher {
  const { allowsLoopback = false, proxyUrl, trustedCertificates } = options;
  const { lookup = makeNameLookup() } = options;
  const limits = {
    connections: options.connectionsPerOrigin ?? CONNECTIONS_PER_ORIGIN_DEFAULT,
    maxOrigins: options.originsMax ?? ORIGINS_MAX_DEFAULT,
    maxHeaderSize: HEADER_BYTES_MAX,
    keepAliveTimeout: IDLE_SOCKET_MS,
    keepAliveMaxTimeout: IDLE_SOCKET_MS,
    connectTimeout: timeoutMs,
    headersTimeout: NO_TIMEOUT,
    bodyTimeout: NO_TIMEOUT,
    // undici 8 offers HTTP/2 by default. One HTTP/2 connection would mix the calls of several attempts.
    allowH2: false,
  };
  const tls = trustedCertificates === undefined ? {} : { ca: trustedCertificates };
  if (proxyUrl === undefined) {
    const guarded = makeGuardedLookup(lookup, { allowsLoopback });
    return new Agent({ ...limits, connect: { ...tls, lookup: guarded, timeout: timeoutMs } });
  }
  return new ProxyAgent({
    ...limits,
    uri: proxyUrl,
    // Without a tunnel, undici would send the calls by http to the proxy itself.
    proxyTunnel: true,
    requestTls: { ...tls, allowH2: false, timeout: timeoutMs },
    // The signal of a call does not end the proxy's part, so a silent proxy needs a timeout of its own.
    clientFactory: (origin) =>
      new Pool(origin, {
        connect: makeProxyConnector({ ...tls, allowH2: false, timeout: timeoutMs }),
        headersTimeout: timeoutMs,
      }),
  });
}

/** Makes the function that connects to the proxy. It fails with a ProxyUnreachableError, whatever the cause is. */
function makeProxyConnector(options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector(options);
  return (target, callback) => {
    connect(target, (...[error, socket]) => {
      if (error) {
        callback(new ProxyUnreachableError('The proxy is not reached', { cause: error }), null);
      } else {
        callback(null, socket);
      }
    });
  };
}

function headersOf({ id, body, secrets, timestamp }: WebhookCall): Record<string, string> {
  if (secrets.length === 0) throw new Error('A call needs a secret');
  const traceparent = activeTraceparent();
  return {
    ...(traceparent !== undefined && { traceparent }),
    'content-type': 'application/cloudevents+json',
    'user-agent': `Virement/${VERSION}`,
    'webhook-id': id,
    'webhook-timestamp': String(Math.floor(timestamp.getTime() / 1_000)),
    'webhook-signature': secrets
      .map((secret) => new Webhook(secret).sign(id, timestamp, body))
      .join(' '),
  };
}

/** The beginning of a body, and the failure that broke it off. */
interface ReadText {
  readonly text: string;
  readonly failure?: unknown;
}

/** Reads a body up to a limit. The connection of a longer body is closed. */
async function readText(body: Dispatcher.ResponseData['body']): Promise<ReadText> {
  const text = new ResponseText();
  // Destroying a body that has not ended makes it emit an error, which nobody waits for.
  body.on('error', () => {});
  try {
    for await (const chunk of body) {
      // Leaving the loop destroys the body, which closes its connection.
      if (!text.add(chunk)) break;
    }
  } catch (failure) {
    return { text: text.toString(), failure };
  }
  return { text: text.toString() };
}
