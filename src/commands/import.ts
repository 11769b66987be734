/**
 * npm run import sends a file of transfers to a server, from any machine, and shows what is wrong with it. With --submit it
 * has the orders performed, and follows them. The idempotency key is that of the file and the account, so the same
 * command finds the same orders again.
 */
import { createHash, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { callerToken } from '../config.js';
import { normaliseIban } from '../domain/iban.js';
import { ORDER_FILE_FORMATS } from '../domain/order-file.js';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { reasonOf } from '../infrastructure/observability/secrets.js';
import { runProgram } from '../program.js';
import { readFileArguments } from './arguments.js';
import { ProgressBar, summaryOf, tableOf } from './import-report.js';
import {
  follow,
  type ImportedOrder,
  type OrderDetails,
  readOrder,
  readWarnings,
  sendFile,
  submit,
  type TransferFile,
} from './imported-orders.js';
import { printable, ServerClient, ServerError } from './server-client.js';
import { csvOfSpreadsheet, isOldSpreadsheet, isSpreadsheet } from './spreadsheet.js';

/** The number of orders that are shown. A pain.001 file may have many. */
const ORDERS_SHOWN_MAX = 20;

const USAGE = {
  call: 'npm run import --',
  operand: 'FILE',
  summary: `Sends a file of transfers (CSV, pain.001 or .xlsx) to a server, and shows its draft orders and their problems.
VIREMENT_TOKEN is the token or the API key of the caller. The exit code is 1 if anything is wrong.`,
  options: {
    account: {
      type: 'string',
      value: 'IBAN',
      help: 'account to debit; a pain.001 file names its own',
    },
    format: {
      type: 'string',
      value: 'FORMAT',
      help: `${ORDER_FILE_FORMATS.join(' or ')}; found out if absent`,
    },
    sheet: { type: 'string', value: 'NAME', help: 'sheet of an .xlsx file with several sheets' },
    name: {
      type: 'string',
      value: 'NAME',
      help: "name of the file on the server; FILE's if absent",
    },
    submit: {
      type: 'boolean',
      default: false,
      help: 'submits the orders if none has a problem, and waits until they are performed',
    },
    again: {
      type: 'boolean',
      default: false,
      help: 'makes new orders of a file that was imported before',
    },
    url: {
      type: 'string',
      default: 'http://127.0.0.1:4000',
      value: 'URL',
      help: 'address of the server',
    },
  },
} as const;

type Values = ReturnType<typeof readFileArguments<typeof USAGE.options>>['values'];

async function readTransferFile(path: string, values: Values): Promise<TransferFile> {
  const { format } = values;
  if (format !== undefined && !ORDER_FILE_FORMATS.some((known) => known === format)) {
    throw new ExplainedError(
      `--format is ${format}; allowed are ${ORDER_FILE_FORMATS.join(' and ')}`,
    );
  }
  const content = await readFile(path).catch((error) => {
    throw new ExplainedError(`The file cannot be read: ${reasonOf(error)}`);
  });
  if (isOldSpreadsheet(content)) {
    throw new ExplainedError('The file is a spreadsheet before .xlsx: save it as .xlsx or as CSV');
  }
  const isSheet = isSpreadsheet(content);
  if (values.sheet !== undefined && !isSheet) {
    throw new ExplainedError('--sheet is for .xlsx files alone');
  }
  if (isSheet && format === 'PAIN_001') {
    throw new ExplainedError('--format is PAIN_001, but the file is a spreadsheet');
  }
  const bytes = isSheet ? Buffer.from(await csvOfSpreadsheet(content, values.sheet)) : content;
  const account = values.account === undefined ? undefined : normaliseIban(values.account);
  const parameters = {
    ...(account !== undefined && { account }),
    ...(isSheet ? { format: 'CSV' } : format !== undefined && { format }),
    fileName: values.name ?? basename(path),
  };
  const hash = createHash('sha256').update(bytes).digest('hex');
  const idempotencyKey = values.again ? randomUUID() : `file/${hash}/${account ?? ''}`;
  return { bytes, parameters, idempotencyKey };
}

/** Prints the orders, their problems and their warnings. */
async function report(server: ServerClient, orders: readonly ImportedOrder[]): Promise<void> {
  for (const { id } of orders.slice(0, ORDERS_SHOWN_MAX)) {
    const order = await readOrder(server, id);
    console.log(summaryOf(order));
    if (order.problemCount > 0) {
      console.log(tableOf('problems', order.problems, order.problemCount));
    }
    const warnings = await readWarnings(server, id).catch((error) => {
      if (!(error instanceof ServerError) || error.code === undefined) throw error;
      console.log(`warnings were not read: ${error.message}`);
    });
    if (warnings && warnings.nodes.length > 0) {
      console.log(tableOf('warnings', warnings, warnings.totalCount));
    }
  }
  const hidden = orders.length - ORDERS_SHOWN_MAX;
  if (hidden > 0) console.log(`and ${hidden} more orders`);
}

/** Refuses a file of which an order has ended, so that no part of it is performed alone. */
function requireNoneEnded(orders: readonly ImportedOrder[]): void {
  const ended = orders.find(({ status }) => status === 'CANCELLED' || status === 'EXPIRED');
  if (!ended) return;
  throw new ExplainedError(
    `The order ${ended.id} is ${ended.status}, and no order was submitted: import the file with --again`,
  );
}

/** Submits the orders that wait for it. Their work goes on without this command. */
async function submitAll(server: ServerClient, orders: readonly ImportedOrder[]): Promise<void> {
  requireNoneEnded(orders);
  for (const { id, status } of orders) {
    if (status !== 'DRAFT' && status !== 'FAILED') continue;
    await submit(server, id);
    console.log(`order ${id} submitted`);
  }
}

/** Follows submitted orders, one after another, and prints their outcomes. @throws ExplainedError if any failed */
async function followAll(server: ServerClient, orders: readonly ImportedOrder[]): Promise<void> {
  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once('SIGINT', interrupt);
  const bar = new ProgressBar();
  let failed = 0;
  try {
    for (const { id, status: before } of orders) {
      const order = await followed(server, id, interruption.signal, bar);
      const { status, bulkTransfers, failure } = order;
      if (status === 'PERFORMED') {
        const bulks = bulkTransfers.map((bulk) => bulk.id).join(', ');
        const isEarlier = before === 'PERFORMED';
        console.log(
          isEarlier
            ? `order ${id} was performed before: bulk ${bulks}; --again pays the file again`
            : `order ${id} performed: bulk ${bulks}`,
        );
        continue;
      }
      failed += 1;
      console.log(`order ${id} is ${status}${failure ? `: ${printable(failure.message)}` : ''}`);
    }
  } finally {
    process.off('SIGINT', interrupt);
  }
  if (failed > 0) throw new ExplainedError(`${failed} of ${orders.length} orders not performed`);
}

async function followed(
  server: ServerClient,
  id: string,
  signal: AbortSignal,
  bar: ProgressBar,
): Promise<OrderDetails> {
  try {
    await follow(server, id, signal, (...progress) => bar.show(...progress));
    bar.stop();
    return await readOrder(server, id);
  } catch (error) {
    bar.stop();
    if (!signal.aborted && !(error instanceof ExplainedError)) throw error;
    const reason = signal.aborted ? 'Interrupted' : reasonOf(error);
    throw new ExplainedError(
      `${reason}. The order ${id} goes on: run the same command again to follow it`,
    );
  }
}

await runProgram(async () => {
  const { file, values } = readFileArguments(USAGE);
  const server = new ServerClient(values.url, callerToken());
  const transferFile = await readTransferFile(file, values);
  const bar = new ProgressBar();
  const { orders, isReplayed } = await sendFile(server, transferFile, (...progress) =>
    bar.show(...progress),
  ).finally(() => bar.stop());
  const count = orders.length === 1 ? '1 order' : `${orders.length} orders`;
  console.log(`${printable(file)}: ${count}${isReplayed ? ', already imported' : ''}`);
  await report(server, orders);
  const problems = orders.reduce((sum, { problemCount }) => sum + problemCount, 0);
  if (problems > 0) {
    const found = problems === 1 ? '1 problem' : `${problems} problems`;
    const advice = 'correct it, and import it again';
    throw new ExplainedError(
      values.submit
        ? `The file has ${found}, and no order was submitted: ${advice}`
        : `The file has ${found}: ${advice}`,
    );
  }
  if (!values.submit) return;
  await submitAll(server, orders);
  await followAll(server, orders);
});
