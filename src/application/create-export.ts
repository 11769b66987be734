import {
  type OrganizationScope,
  type RequestSource,
  visibleOrganizations,
} from '../domain/caller.js';
import { type ExportInput, type ExportSubject, readExportInput } from '../domain/export.js';
import { rejected } from '../domain/mutations.js';
import type { Account } from '../entities/account.entity.js';
import type { ExportLink, ExportLinks } from './ports/exports.js';
import type { OrderStore } from './ports/order-store.js';
import type { ScopedLedgerReader } from './ports/scoped-ledger-reader.js';

interface CreateExportPorts {
  readonly orders: Pick<OrderStore, 'byId'>;
  readonly links: Pick<ExportLinks, 'sign'>;
}

/** The caller of an export, and the ledger as the caller sees it. */
export interface ExportingCaller {
  readonly source: RequestSource;
  readonly reader: Pick<ScopedLedgerReader, 'accountByIban' | 'accountsById' | 'bulkTransfersById'>;
}

/** A link, and the facts for the audit log. */
export interface CreatedExport {
  readonly link: ExportLink;
  readonly accountId: string;
  /** The bulk or the order; undefined for a statement. */
  readonly subjectId: string | undefined;
}

export type CreateExport = (input: ExportInput, caller: ExportingCaller) => Promise<CreatedExport>;

/**
 * Makes the use case that signs a link to a file. The link allows the caller's client to read this file without a token,
 * within the organization of its account.
 */
export function makeCreateExport({ orders, links }: CreateExportPorts): CreateExport {
  return async (input, { source, reader }) => {
    const read = readExportInput(input);
    if ('problems' in read) {
      throw rejected('createExport', { code: 'INVALID_INPUT', problems: read.problems });
    }
    const { request } = read;
    const organizations = visibleOrganizations(source.caller);
    const account = await accountOf(request.subject, { reader, orders, organizations });
    const link = links.sign({ request, organizationId: account.organizationId });
    const subjectId = request.subject.type === 'statement' ? undefined : request.subject.id;
    return { link, accountId: account.id, subjectId };
  };
}

interface Lookup {
  readonly reader: ExportingCaller['reader'];
  readonly orders: Pick<OrderStore, 'byId'>;
  readonly organizations: OrganizationScope;
}

/** Returns the account of a subject. @throws DomainError if the caller sees no such subject */
async function accountOf(
  subject: ExportSubject,
  { reader, orders, organizations }: Lookup,
): Promise<Account> {
  if (subject.type === 'statement') {
    const account = await reader.accountByIban(subject.iban);
    if (account) return account;
    throw rejected('createExport', { code: 'ACCOUNT_NOT_FOUND', iban: subject.iban });
  }
  const { type, id } = subject;
  const isOrder = type === 'order';
  // An id that is no UUID is empty.
  const [found] =
    id === ''
      ? []
      : isOrder
        ? [await orders.byId(id, organizations)]
        : await reader.bulkTransfersById([id]);
  const [account] = found ? await reader.accountsById([found.accountId]) : [];
  if (account) return account;
  if (isOrder) throw rejected('createExport', { code: 'ORDER_NOT_FOUND' });
  const message = 'The organizations of the caller have no such bulk transfer.';
  const problems = [{ field: 'bulkTransferId', code: 'MISMATCH', message }] as const;
  throw rejected('createExport', { code: 'INVALID_INPUT', problems });
}
