/** Queries and mutations: one POST, one typed answer, or one VirementError. */
import { sleep } from './backoff.js';
import type { Connection } from './connection.js';
import { payloadOf } from './document.js';
import { errorOf, type GraphQLErrorLike, networkErrorOf, VirementError } from './errors.js';
import type { TypedDocumentString } from './generated/graphql.js';

/**
 * The timeout of one attempt. By default it is longer than the server's own timeout, so the server answers TIMEOUT
 * first.
 */
const ATTEMPT_TIMEOUT_MS = 60_000;

/** The largest number of attempts for one query. */
const QUERY_ATTEMPTS_MAX = 8;

interface Answer<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly GraphQLErrorLike[];
}

/**
 * Sends an operation once.
 * @throws VirementError for every answer with errors, and without an answer
 */
export async function request<Data, Variables extends Record<string, unknown>>(
  connection: Connection,
  document: TypedDocumentString<Data, Variables>,
  variables: Variables,
  signal?: AbortSignal,
): Promise<Data> {
  const authorization = await connection.authorization();
  const timeout = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
  let response: Response;
  let text: string;
  try {
    response = await connection.fetch(connection.url, {
      method: 'POST',
      headers: headersOf(authorization, 'application/graphql-response+json, application/json'),
      body: JSON.stringify(payloadOf(document, variables, connection.trustedDocuments)),
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    text = await response.text();
  } catch (cause) {
    if (signal?.aborted) throw abortedError(signal);
    throw networkErrorOf(cause);
  }
  const answer = parse<Data>(text);
  const error = answer?.errors?.[0];
  if (error) throw errorOf(error, detailsOf(response));
  if (!answer?.data) throw httpErrorOf(response);
  return answer.data;
}

/** Sends a query until it is answered, or until another attempt is useless. */
export async function query<Data, Variables extends Record<string, unknown>>(
  connection: Connection,
  document: TypedDocumentString<Data, Variables>,
  variables: Variables,
  signal?: AbortSignal,
): Promise<Data> {
  const policy = connection.newRetryPolicy();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await request(connection, document, variables, signal);
    } catch (error) {
      if (!(error instanceof VirementError) || attempt >= QUERY_ATTEMPTS_MAX) throw error;
      const delayMs = policy.delayAfter(error);
      connection.onRetry(error, delayMs);
      await sleep(delayMs, signal);
      if (signal?.aborted) throw abortedError(signal);
    }
  }
}

/** Makes an error from an answer that is not the requested one. */
export async function refusalOf(response: Response): Promise<VirementError> {
  const answer = parse<unknown>(await response.text().catch(() => ''));
  const error = answer?.errors?.[0];
  return error ? errorOf(error, detailsOf(response)) : httpErrorOf(response);
}

export function headersOf(
  authorization: string | undefined,
  accept: string,
): Record<string, string> {
  return {
    'content-type': 'application/json',
    accept,
    ...(authorization !== undefined && { authorization }),
  };
}

export function abortedError({ reason }: AbortSignal): VirementError {
  return new VirementError('ABORTED', 'The request was aborted.', { cause: reason });
}

function httpErrorOf(response: Response): VirementError {
  const { status } = response;
  const message = `The server answered with HTTP status ${status}, but not with a GraphQL response.`;
  if (status === 401) return new VirementError('UNAUTHENTICATED', message, detailsOf(response));
  return new VirementError('HTTP_ERROR', message, detailsOf(response));
}

function detailsOf({ status, headers }: Response) {
  const requestId = headers.get('x-request-id') ?? undefined;
  return { status, requestId, retryAfterMs: retryAfterMsOf(headers.get('retry-after')) };
}

/** Reads a Retry-After header, which is seconds or a date (RFC 9110, 10.2.3). */
function retryAfterMsOf(header: string | null): number | undefined {
  if (header === null) return undefined;
  const ms = /^\d+$/.test(header) ? Number(header) * 1_000 : Date.parse(header) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

function parse<Data>(text: string): Answer<Data> | undefined {
  try {
    const answer: unknown = JSON.parse(text);
    return typeof answer === 'object' && answer !== null ? answer : undefined;
  } catch {
    return undefined;
  }
}
