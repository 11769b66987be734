/** The orders that a file became, as the server tells of them: import, details, submission and progress. */
import { setTimeout as sleep } from 'node:timers/promises';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { printable, type ServerClient, ServerError } from './server-client.js';

/** The number of problems and of warnings that are shown. */
export const FINDINGS_SHOWN_MAX = 20;

const CHUNK_BYTES = 64 * 1_024;

/** The delay before an order is followed again after a cut, and how often in a row. They take some minutes. */
const RECONNECT_MS = 1_000;
const RECONNECTIONS_MAX = 120;

/** The codes with which an order is not followed again. */
const DEFINITE_CODES = ['UNAUTHENTICATED', 'FORBIDDEN', 'ORDER_NOT_FOUND', 'BAD_USER_INPUT'];

/** Receives how far the work is. */
export type OnProgress = (phase: string, done: number, total: number | null) => void;

export interface TransferFile {
  readonly bytes: Uint8Array;
  /** The parameters of the address: account, format, fileName. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly idempotencyKey: string;
}

export interface ImportedOrder {
  readonly id: string;
  readonly status: string;
  readonly rowCount: number;
  readonly problemCount: number;
}

interface Money {
  readonly amount: string;
  readonly currency: string;
}

/** A problem or a warning. */
export interface Finding {
  readonly row: number | null;
  readonly line: number | null;
  readonly column: string | null;
  readonly code: string;
  readonly message: string;
}

export interface Findings {
  readonly totalCount: number | null;
  readonly nodes: readonly Finding[];
}

export interface OrderDetails extends ImportedOrder {
  readonly name: string | null;
  readonly account: { readonly iban: string };
  readonly totalAmount: Money | null;
  readonly balanceAfter: Money | null;
  readonly problems: Findings;
  readonly bulkTransfers: readonly { readonly id: string }[];
  readonly failure: { readonly code: string; readonly message: string } | null;
}

const FINDINGS = `(first: ${FINDINGS_SHOWN_MAX}) {
  totalCount nodes { row line column code message } }`;

/**
 * Sends a file, and waits until its orders are made.
 * @returns the orders, and whether an earlier request made them
 * @throws ServerError
 */
export async function sendFile(
  server: ServerClient,
  { bytes, parameters, idempotencyKey }: TransferFile,
  onProgress: OnProgress,
): Promise<{ readonly orders: readonly ImportedOrder[]; readonly isReplayed: boolean }> {
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
      onProgress('sending', at, bytes.length);
      yield bytes.subarray(at, at + CHUNK_BYTES);
    }
    onProgress('sending', bytes.length, bytes.length);
  }
  const events = server.stream(
    `/imports?${new URLSearchParams(parameters)}`,
    { body: ReadableStream.from(pieces()), duplex: 'half' },
    { 'content-type': 'application/octet-stream', 'idempotency-key': idempotencyKey },
  );
  let rowsTotal: number | undefined;
  for await (const { event, content } of events) {
    if (event === 'begin') rowsTotal = (content as { rowsTotal: number }).rowsTotal;
    if (event === 'progress') {
      onProgress('reading', (content as { rowsDone: number }).rowsDone, rowsTotal ?? null);
    }
    if (event === 'complete') {
      const { orders } = content as { orders: readonly ImportedOrder[] };
      // The server begins nothing for a key that it knows.
      return { orders, isReplayed: rowsTotal === undefined };
    }
  }
  throw new ServerError('The server ended the connection without a result: run the command again');
}

/** Reads an order with its first problems. @throws ServerError */
export async function readOrder(server: ServerClient, id: string): Promise<OrderDetails> {
  const { order } = await server.send<{ readonly order: OrderDetails | null }>(
    `query ($id: ID!) { order(id: $id) {
      id name status rowCount problemCount account { iban }
      totalAmount { amount currency } balanceAfter { amount currency }
      problems${FINDINGS} bulkTransfers { id } failure { code message } } }`,
    { id },
  );
  if (!order) throw new ExplainedError(`The order ${id} does not exist any more`);
  return order;
}

/**
 * Reads the first warnings of an order. The server searches for them, which costs more than a caller may have left.
 * @throws ServerError
 */
export async function readWarnings(server: ServerClient, id: string): Promise<Findings> {
  const { order } = await server.send<{ readonly order: { readonly warnings: Findings } | null }>(
    `query ($id: ID!) { order(id: $id) { warnings${FINDINGS} } }`,
    { id },
  );
  return order?.warnings ?? { totalCount: 0, nodes: [] };
}

/** Submits an order. It may be submitted again: its bulk is performed once. @throws ServerError for a refusal */
export async function submit(server: ServerClient, id: string): Promise<void> {
  const { submitOrder: answer } = await server.send<{
    readonly submitOrder: { readonly code?: string; readonly message?: string };
  }>(
    `mutation ($id: ID!) { submitOrder(id: $id) {
      ... on BulkTransferOrder { id } ... on UserError { code message } } }`,
    { id },
  );
  if (answer.code !== undefined) {
    const reason = printable(answer.message ?? answer.code);
    throw new ServerError(`The order ${id} was not submitted: ${reason}`, answer.code);
  }
}

interface OrderProgress {
  readonly phase: string;
  readonly rowsDone: number;
  readonly rowsTotal: number | null;
  readonly order: { readonly status: string };
}

const PROGRESS = `subscription ($id: ID!) { orderProgress(id: $id) {
  phase rowsDone rowsTotal order { status } } }`;

/** Follows a submitted order until it is performed or has failed, through cuts. @throws ServerError */
export async function follow(
  server: ServerClient,
  id: string,
  signal: AbortSignal,
  onProgress: OnProgress,
): Promise<void> {
  let cuts = 0;
  for (;;) {
    try {
      for await (const { phase, rowsDone, rowsTotal, order } of progressOf(server, id, signal)) {
        cuts = 0;
        if (order.status !== 'SUBMITTED') return;
        onProgress(phase.toLowerCase(), rowsDone, rowsTotal);
      }
    } catch (error) {
      if (signal.aborted || !(error instanceof ServerError)) throw error;
      cuts += 1;
      if (DEFINITE_CODES.includes(error.code ?? '') || cuts > RECONNECTIONS_MAX) throw error;
    }
    await sleep(RECONNECT_MS, undefined, { signal });
  }
}

async function* progressOf(
  server: ServerClient,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<OrderProgress> {
  const body = JSON.stringify({ query: PROGRESS, variables: { id } });
  for await (const { event, content } of server.stream('/graphql/stream', { body, signal }, {})) {
    if (event !== 'next') continue;
    const { data, errors = [] } = content as {
      readonly data?: { readonly orderProgress: OrderProgress } | null;
      readonly errors?: readonly { message: string; extensions?: { code?: string } }[];
    };
    const [error] = errors;
    if (error) throw new ServerError(printable(error.message), error.extensions?.code);
    if (data) yield data.orderProgress;
  }
}
