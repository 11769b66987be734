import { RefusedAddressError } from './egress-policy.js';
import { NameServersSilentError } from './name-lookup.js';

/** The largest number of causes that are followed from an error. */
const CAUSES_MAX = 5;

const TIMED_OUT = Symbol('timed out');

/** The beginnings of the codes that OpenSSL and Node give to certificates: see X509_verify_cert_error_string. */
const CERTIFICATE_CODE =
  /^(CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE|PATH_LENGTH_|ERROR_IN_|ERR_TLS_CERT_)/;

const TLS_CODE = /^(ERR_SSL_|ERR_TLS_|EPROTO$)/;

const NOT_RESOLVED = 'The host name was not resolved.';
const NOT_REACHED = 'The host was not reached.';
const RESET = 'The connection was reset.';
const NOT_HTTP = 'The response is not valid HTTP.';
const STOPPING = 'The server is stopping.';
const PROXY_FAILED = 'The proxy did not connect to the host.';

const SENTENCES: Readonly<Record<string, string | typeof TIMED_OUT>> = {
  ENOTFOUND: NOT_RESOLVED,
  ENODATA: NOT_RESOLVED,
  ESERVFAIL: NOT_RESOLVED,
  EREFUSED: NOT_RESOLVED,
  EFORMERR: NOT_RESOLVED,
  EBADNAME: NOT_RESOLVED,
  EBADRESP: NOT_RESOLVED,
  ETIMEOUT: NOT_RESOLVED,
  ECONNREFUSED: 'The connection was refused.',
  ECONNRESET: RESET,
  EPIPE: RESET,
  UND_ERR_SOCKET: RESET,
  EHOSTUNREACH: NOT_REACHED,
  ENETUNREACH: NOT_REACHED,
  EADDRNOTAVAIL: NOT_REACHED,
  EACCES: NOT_REACHED,
  EPERM: NOT_REACHED,
  EINVAL: NOT_REACHED,
  ETIMEDOUT: TIMED_OUT,
  UND_ERR_CONNECT_TIMEOUT: TIMED_OUT,
  UND_ERR_HEADERS_TIMEOUT: TIMED_OUT,
  UND_ERR_BODY_TIMEOUT: TIMED_OUT,
  UND_ERR_HEADERS_OVERFLOW: 'The headers of the response are too large.',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: NOT_HTTP,
  UND_ERR_MAX_ORIGINS_REACHED: 'The server calls too many receivers now.',
  UND_ERR_DESTROYED: STOPPING,
  UND_ERR_CLOSED: STOPPING,
};

/** The codes of calls that this server's own network or limits have stopped. */
const OWN_CODES = new Set([
  'ENETUNREACH',
  'EADDRNOTAVAIL',
  'EACCES',
  'EPERM',
  'EMFILE',
  'UND_ERR_MAX_ORIGINS_REACHED',
  'UND_ERR_DESTROYED',
  'UND_ERR_CLOSED',
]);

/** The codes of a proxy that refuses a tunnel, or breaks off before it answers. */
const PROXY_CODES = new Set(['UND_ERR_ABORTED', 'UND_ERR_PRX_CONN']);

/** The error of a connection to the proxy itself. Its cause tells more about our network than an owner may know. */
export class ProxyUnreachableError extends Error {
  override readonly name = 'ProxyUnreachableError';
}

/** How the calls were made that failed. */
export interface CallCircumstances {
  readonly timeoutMs: number;
  readonly usesProxy: boolean;
}

/**
 * Returns a sentence about a failed call, for the owner of the webhook. The sentence has no address and no name, and
 * nothing of an error's message.
 */
export function failureSentence(error: unknown, circumstances: CallCircumstances): string {
  const causes = causesOf(error);
  if (causes.some((cause) => cause instanceof RefusedAddressError)) {
    return 'The address is not public.';
  }
  if (causes.some((cause) => cause instanceof ProxyUnreachableError)) return PROXY_FAILED;
  for (const cause of causes) {
    const sentence = sentenceOf(cause, circumstances);
    if (sentence !== undefined) return sentence;
  }
  return 'The call failed.';
}

/**
 * Tells whether a call failed before it left this server's own network: its proxy, its name server or its route is down.
 * A proxy that refuses one host is no such failure.
 */
export function isOwnFailure(error: unknown): boolean {
  return causesOf(error).some(
    (cause) =>
      cause instanceof ProxyUnreachableError ||
      cause instanceof NameServersSilentError ||
      OWN_CODES.has(codeOf(cause)) ||
      isNameServerDown(cause),
  );
}

function isNameServerDown(error: Error): boolean {
  const isQuery = 'syscall' in error && String(error.syscall).startsWith('query');
  return isQuery && codeOf(error) === 'ECONNREFUSED';
}

/** Returns the sentence of a call that got no complete response in time. */
function timeoutSentence(timeoutMs: number): string {
  const seconds = timeoutMs / 1_000;
  return `No response within ${seconds} ${seconds === 1 ? 'second' : 'seconds'}.`;
}

function sentenceOf(error: Error, circumstances: CallCircumstances): string | undefined {
  if (error.name === 'TimeoutError') return timeoutSentence(circumstances.timeoutMs);
  const code = codeOf(error);
  if (circumstances.usesProxy && PROXY_CODES.has(code)) return PROXY_FAILED;
  if (CERTIFICATE_CODE.test(code)) return `The certificate is not valid: ${code}.`;
  if (TLS_CODE.test(code)) return 'The TLS handshake failed.';
  if (code.startsWith('EAI_') || isNameServerDown(error)) return NOT_RESOLVED;
  // The parser gives some of its errors no code.
  if (error.name === 'HTTPParserError') return NOT_HTTP;
  const sentence = Object.hasOwn(SENTENCES, code) ? SENTENCES[code] : undefined;
  return sentence === TIMED_OUT ? timeoutSentence(circumstances.timeoutMs) : sentence;
}

function codeOf(error: Error): string {
  return 'code' in error && typeof error.code === 'string' ? error.code : '';
}

/** Returns an error with its causes, outermost first. A failure of several addresses stands for the first of them. */
function causesOf(error: unknown): readonly Error[] {
  const causes: Error[] = [];
  let next = error;
  while (next instanceof Error && causes.length < CAUSES_MAX) {
    causes.push(next);
    next = next instanceof AggregateError ? next.errors[0] : next.cause;
  }
  return causes;
}
