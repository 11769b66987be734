/**
 * Imports a file of transfers as draft orders, once, for any number of attempts. Every attempt has the same idempotency
 * key. The server makes the orders with the first attempt that it completes, and answers the others with the same
 * orders. An attempt whose connection is cut makes no order, unless only the answer was lost.
 */
import { sleep } from './backoff.js';
import type { Connection } from './connection.js';
import { errorOf, type GraphQLErrorLike, networkErrorOf, VirementError } from './errors.js';
import { type ImportableFile, type Upload, uploadOf } from './importable-file.js';
import { ATTEMPTS_MAX, delayAfter, givenUp } from './perform.js';
import { abortedError, refusalOf } from './request.js';
import { parseEvent, serverSentEventsOf } from './transport-sse.js';

export type { ImportableFile } from './importable-file.js';

/**
 * The timeout of one attempt, and of the silence in its answer. It is longer than the server's own timeout, which is
 * ten minutes.
 */
const ATTEMPT_TIMEOUT_MS = 660_000;

/** The media type of each format. The server looks at the file itself if the format is absent. */
const TYPES = { CSV: 'text/csv', PAIN_001: 'application/xml' } as const;

const DOUBT = 'The file may have been imported: import it again with the same key.';

/** How far an import is. */
export interface ImportProgress {
  readonly phase: 'uploading' | 'reading';
  /**
   * The number of bytes that were handed to the connection. It is absent in browsers, whose fetch does not tell. Some
   * of the bytes may still be on their way.
   */
  readonly bytesSent?: number;
  /** The length of the file; absent for a stream. */
  readonly bytesTotal?: number;
  readonly rowsDone?: number;
  readonly rowsTotal?: number;
  /** The ids of the orders that are being made. They are complete when importFile returns. */
  readonly orderIds?: readonly string[];
}

export interface ImportOptions {
  /** The IBAN of the account to debit. A CSV file needs it. */
  readonly account?: string;
  /** The format. By default, the server looks at the file. */
  readonly format?: keyof typeof TYPES;
  /** The name of the file. The default is the name of a File. */
  readonly fileName?: string;
  /**
   * The idempotency key. Without a key, each call makes its own key, so a second call makes further orders. Store a key
   * and give it here, to import the file again after an error or a crash of your own.
   */
  readonly idempotencyKey?: string;
  readonly onProgress?: (progress: ImportProgress) => void;
  readonly signal?: AbortSignal;
  /** The number of attempts. The default is 8. A stream is sent once. */
  readonly attemptsMax?: number;
}

/** A draft order that a file became. */
export interface ImportedOrder {
  readonly id: string;
  readonly name: string | null;
  readonly status: string;
  readonly source: string;
  readonly fileName: string | null;
  readonly rowCount: number;
  /** The number of problems. An order with problems is not submitted. */
  readonly problemCount: number;
  /** The sum of all rows; null if an amount cannot be read. */
  readonly totalAmount: { readonly amount: string; readonly currency: string } | null;
}

export interface ImportResult {
  /** The orders in the order of the file: one of a CSV file, one for each PmtInf of a pain.001 file. */
  readonly orders: readonly ImportedOrder[];
  /** Whether an earlier request with the same key made the orders. */
  readonly replayed: boolean;
}

/**
 * @throws VirementError if there is no order. The error has the `problems` of a file that cannot be read, the
 *   `idempotencyKey`, and `isOutcomeUnknown` if the orders may have been made
 */
export async function importFile(
  connection: Connection,
  file: ImportableFile,
  options: ImportOptions = {},
): Promise<ImportResult> {
  const { idempotencyKey = crypto.randomUUID(), signal, attemptsMax = ATTEMPTS_MAX } = options;
  const upload = await uploadOf(file);
  const fileName =
    options.fileName ?? ('File' in globalThis && file instanceof File ? file.name : undefined);
  const how = { ...options, ...(fileName && { fileName }), idempotencyKey };
  const policy = connection.newRetryPolicy();
  let isOutcomeUnknown = false;
  const giveUp = (cause: VirementError) =>
    givenUp(cause, { idempotencyKey, isOutcomeUnknown }, DOUBT);
  for (let attempt = 1; ; attempt += 1) {
    const result = await attemptOnce(connection, upload, how);
    if (!(result instanceof VirementError)) return result;
    isOutcomeUnknown ||= result.isOutcomeUnknown;
    if (attempt >= attemptsMax || !upload.isRepeatable) throw giveUp(result);
    const delayMs = delayAfter(policy, result, giveUp);
    connection.onRetry(result, delayMs);
    await sleep(delayMs, signal);
    if (signal?.aborted) throw giveUp(abortedError(signal));
  }
}

type Attempt = ImportOptions & { readonly idempotencyKey: string };

/** @returns an error instead of throwing it */
async function attemptOnce(
  connection: Connection,
  upload: Upload,
  how: Attempt,
): Promise<ImportResult | VirementError> {
  const timeout = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
  const signal = how.signal ? AbortSignal.any([how.signal, timeout]) : timeout;
  try {
    const body = await send(connection, upload, { ...how, signal });
    return await read(body, signal, how.onProgress);
  } catch (error) {
    if (how.signal?.aborted) return abortedError(how.signal);
    if (error instanceof VirementError) return error;
    throw error;
  }
}

/** Sends the file. @returns the events of the answer */
async function send(
  connection: Connection,
  { bytesTotal, bodyOf }: Upload,
  { account, format, fileName, idempotencyKey, onProgress, signal }: Attempt,
): Promise<ReadableStream<Uint8Array>> {
  const authorization = await connection.authorization();
  const total = bytesTotal === undefined ? {} : { bytesTotal };
  onProgress?.({ phase: 'uploading', ...total });
  const onBytes = onProgress
    ? (bytesSent: number) => onProgress({ phase: 'uploading', bytesSent, ...total })
    : undefined;
  const parameters = new URLSearchParams({
    ...(account !== undefined && { account }),
    ...(format !== undefined && { format }),
    ...(fileName !== undefined && { fileName }),
  });
  const init = {
    method: 'POST',
    headers: {
      'content-type': format ? TYPES[format] : 'application/octet-stream',
      accept: 'text/event-stream',
      'idempotency-key': idempotencyKey,
      ...(authorization !== undefined && { authorization }),
    },
    ...bodyOf(onBytes),
    ...(signal && { signal }),
  };
  const url = `${importsUrlOf(connection)}?${parameters}`;
  const response = await connection.fetch(url, init).catch((cause) => {
    throw networkErrorOf(cause);
  });
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
  if (!response.ok || !isStream || !response.body) throw await refusalOf(response);
  return response.body;
}

/** Returns the address of files, which is beside that of GraphQL. */
function importsUrlOf({ url }: Connection): string {
  return url.replace(/[^/]*$/, 'imports');
}

/** Reads the events of an answer. @throws VirementError for the error that ends it, and if it is cut */
async function read(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
  onProgress: ImportOptions['onProgress'],
): Promise<ImportResult> {
  let begun: Pick<ImportProgress, 'rowsTotal' | 'orderIds'> | undefined;
  for await (const { event, data } of serverSentEventsOf(body, signal, ATTEMPT_TIMEOUT_MS)) {
    if (event === 'begin') {
      const { orders, rowsTotal } = parseEvent<Beginning>(data);
      begun = { rowsTotal, orderIds: orders.map(({ id }) => id) };
      onProgress?.({ phase: 'reading', rowsDone: 0, ...begun });
    } else if (event === 'progress') {
      const { rowsDone } = parseEvent<{ readonly rowsDone: number }>(data);
      onProgress?.({ phase: 'reading', rowsDone, ...begun });
    } else if (event === 'complete') {
      // The server begins nothing for a key that it knows.
      return { ...parseEvent<Pick<ImportResult, 'orders'>>(data), replayed: begun === undefined };
    } else if (event === 'error') {
      const [error] = parseEvent<{ readonly errors: readonly GraphQLErrorLike[] }>(data).errors;
      throw errorOf(error ?? { message: 'The server gave no reason.' });
    }
  }
  // The compiler does not know that the events never end without an error.
  throw new VirementError('PROTOCOL_ERROR', 'The answer has ended without a result.');
}

interface Beginning {
  readonly orders: readonly { readonly id: string }[];
  readonly rowsTotal: number;
}
