/**
 * Imports a file of transfers as draft orders, one for each part of the file that debits one account.
 *
 * 1. The file is read once from its beginning to its end. A file that cannot be read makes no order.
 * 2. The accounts of all orders are looked up, and the key of the request.
 * 3. The orders are added in a state in which nobody can change or submit them, and their rows are judged and added in
 *    parts, each in a commit of its own, so that a large file keeps nobody waiting.
 * 4. One commit completes all orders. If the server dies before, another one deletes them.
 */
import type { AccountFacts } from '../domain/bulk-transfer.js';
import { mayDebit, type RequestSource } from '../domain/caller.js';
import { AbandonedError, type DomainError, ImportConflictError } from '../domain/errors.js';
import { normaliseIban } from '../domain/iban.js';
import type { NewId } from '../domain/id.js';
import { idempotencyKeyProblems } from '../domain/idempotency.js';
import { rejected } from '../domain/mutations.js';
import { FILE_NAME_CHARACTERS_MAX, FILE_PROBLEMS_MAX } from '../domain/order.js';
import type { OrderFileFormat } from '../domain/order-file.js';
import type { FileWarning } from '../domain/order-warnings.js';
import { type Problem, requiredProblem, valueProblem } from '../domain/problem.js';
import { NAME, textProblems } from '../domain/text.js';
import { BulkTransferOrder, type OrderLease } from '../entities/bulk-transfer-order.entity.js';
import { type JudgePorts, judgeOrderRows } from './judge-order-rows.js';
import type { Clock } from './ports/clock.js';
import type { ImportOrders, ImportProgress, ImportRequest } from './ports/import-orders.js';
import type { FileOrder, FileRow, OrderFile, ReadOrderFile } from './ports/order-file.js';
import type { OrderStore } from './ports/order-store.js';

export interface ImportPorts extends JudgePorts {
  readonly orders: OrderStore;
  readonly readers: Readonly<Record<OrderFileFormat, ReadOrderFile>>;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly leaseOf: () => OrderLease;
  /** Called after orders were given up whose rows were not all added. */
  readonly onAbandoned: () => void;
}

/** The number of rows that one transaction adds. */
const ADDED_AT_ONCE = 5_000;

export function makeImportOrders(ports: ImportPorts): ImportOrders {
  const { orders, readers, clock, onAbandoned } = ports;
  return async (request, source, progress) => {
    const problems = requestProblems(request);
    if (problems.length > 0) throw invalid(problems);
    const file = await readers[request.format](request.file);
    const accounts = await debtorsOf(file, request, source, ports);
    const earlier = await findEarlier(request, accounts, orders);
    if (earlier) return { orders: earlier, replayed: true };
    const drafts = await makeDrafts(request, { file, accounts, source }, ports);
    const ids = drafts.map(({ id }) => id);
    try {
      progress?.onBegin(drafts, rowCountOf(file));
      await addRows(file, drafts, { ports, source, progress });
      const completion = { action: 'importOrder', source, at: clock() } as const;
      return { orders: await orders.complete(ids, completion), replayed: false };
    } catch (error) {
      // Orders that are left are deleted after their lease.
      await orders.abandon(ids, clock()).then(onAbandoned, () => {});
      throw error;
    }
  };
}

function requestProblems({ fileName, idempotencyKey }: ImportRequest): Problem[] {
  const ofName =
    fileName === undefined
      ? []
      : textProblems(fileName, 'fileName', {
          charactersMin: 1,
          charactersMax: FILE_NAME_CHARACTERS_MAX,
        });
  return [...ofName, ...idempotencyKeyProblems(idempotencyKey, false)];
}

/** Returns the account of each order. @throws DomainError ACCOUNT_NOT_FOUND also for one that the caller may not debit */
async function debtorsOf(
  file: OrderFile,
  { organizationIban: sent }: ImportRequest,
  { caller }: RequestSource,
  { reader }: ImportPorts,
): Promise<AccountFacts[]> {
  const named = sent === undefined ? undefined : normaliseIban(sent);
  const ibans = file.orders.map(({ organizationIban }) => {
    if (named !== undefined && organizationIban !== null && named !== organizationIban) {
      throw invalid([valueProblem('MISMATCH', 'organizationIban', organizationIban)]);
    }
    const iban = named ?? organizationIban;
    if (iban === null) throw invalid([requiredProblem('organizationIban')]);
    return iban;
  });
  const accounts = await reader.accountFactsByIban([...new Set(ibans)]);
  return ibans.map((iban) => {
    const account = accounts.get(iban);
    if (account && mayDebit(caller, account.organizationId)) return account;
    throw rejected('importOrder', { code: 'ACCOUNT_NOT_FOUND', iban });
  });
}

/** Returns the orders that the key of a request made before; undefined if there are none. @throws ImportConflictError */
async function findEarlier(
  { idempotencyKey, fileHash }: ImportRequest,
  accounts: readonly AccountFacts[],
  orders: OrderStore,
): Promise<BulkTransferOrder[] | undefined> {
  if (idempotencyKey === undefined) return undefined;
  const earlier = await orders.importedBy(organizationsOf(accounts), idempotencyKey);
  const [first] = earlier;
  if (!first) return undefined;
  const isSame =
    first.fileHash === fileHash &&
    earlier.length === accounts.length &&
    earlier.every(({ accountId }, part) => accountId === accounts[part]?.id);
  if (!isSame) throw new ImportConflictError('KEY_REUSED');
  if (earlier.some(({ isBeingRead }) => isBeingRead)) throw new ImportConflictError('IN_PROGRESS');
  return earlier;
}

interface ReadFile {
  readonly file: OrderFile;
  /** The account of each order. */
  readonly accounts: readonly AccountFacts[];
  readonly source: RequestSource;
}

async function makeDrafts(
  { format, fileHash, fileName, idempotencyKey }: ImportRequest,
  { file, accounts, source }: ReadFile,
  { orders, newId, clock, leaseOf }: ImportPorts,
): Promise<BulkTransferOrder[]> {
  const repeated = await orders.lastOfFile(organizationsOf(accounts), fileHash);
  const drafts: BulkTransferOrder[] = [];
  for (const [part, { name, executionDate, problems, warnings }] of file.orders.entries()) {
    const account = accounts[part];
    if (!account) throw new Error('An order of a file has no account');
    const facts = {
      id: newId(),
      accountId: account.id,
      organizationId: account.organizationId,
      name: nameOf(name),
      source: format,
      currency: account.currency,
      fileName: fileName ?? null,
      createdBy: source.caller.name,
      createdAt: clock(),
    };
    const ofFile = {
      fileHash,
      filePart: part,
      importKey: idempotencyKey ?? null,
      executionDate,
      problems: problems.slice(0, FILE_PROBLEMS_MAX),
      warnings: [...warnings, ...(repeated ? [sameFileWarning(repeated)] : [])],
    };
    drafts.push(BulkTransferOrder.beingRead(facts, leaseOf(), ofFile));
  }
  await orders.begin(drafts, rowCountOf(file));
  return drafts;
}

/** Returns a name that an order may have. A file may give any text. */
function nameOf(name: string | null): string | null {
  return name !== null && textProblems(name, 'name', NAME).length === 0 ? name : null;
}

function sameFileWarning({ id, createdAt }: BulkTransferOrder): FileWarning {
  return {
    field: 'content',
    code: 'SAME_FILE',
    message: `The same file was imported at ${createdAt.toISOString()}.`,
    orderId: id,
  };
}

interface Addition {
  readonly ports: ImportPorts;
  readonly source: RequestSource;
  readonly progress: ImportProgress | undefined;
}

async function addRows(
  file: OrderFile,
  drafts: readonly BulkTransferOrder[],
  { ports, source, progress }: Addition,
): Promise<void> {
  const { orders, leaseOf } = ports;
  const { columns } = file;
  const added = drafts.map(() => 0);
  let rowsDone = 0;
  for await (const rows of partsOf(file.rows())) {
    if (source.isAbandoned?.()) throw new AbandonedError();
    const part = rows[0]?.order ?? 0;
    const draft = drafts[part];
    if (!draft) throw new Error('A row of a file belongs to no order');
    const first = added[part] ?? 0;
    const records = await judgeOrderRows(ports, draft, first, { rows, columns });
    await orders.append(draft.id, leaseOf(), records);
    added[part] = first + rows.length;
    rowsDone += rows.length;
    progress?.onRows(rowsDone);
  }
}

/** Yields rows of one order each, as many as are added at once. */
async function* partsOf(batches: AsyncIterable<readonly FileRow[]>): AsyncGenerator<FileRow[]> {
  let part: FileRow[] = [];
  for await (const batch of batches) {
    for (const row of batch) {
      const [first] = part;
      if (first && (first.order !== row.order || part.length === ADDED_AT_ONCE)) {
        yield part;
        part = [];
      }
      part.push(row);
    }
  }
  if (part.length > 0) yield part;
}

function rowCountOf({ orders }: { readonly orders: readonly FileOrder[] }): number {
  return orders.reduce((sum, { rowCount }) => sum + rowCount, 0);
}

function organizationsOf(accounts: readonly AccountFacts[]): string[] {
  return [...new Set(accounts.map(({ organizationId }) => organizationId))];
}

function invalid(problems: readonly Problem[]): DomainError {
  return rejected('importOrder', { code: 'INVALID_INPUT', problems });
}
