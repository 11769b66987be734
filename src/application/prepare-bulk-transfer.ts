import {
  BulkTransferReader,
  type BulkTransferReading,
  type BulkTransferRequest,
  type BulkTransferRules,
  bulkTransferFingerprint,
  ibansOf,
  type NormalisedBulk,
  normaliseBulk,
} from '../domain/bulk-transfer.js';
import { mayDebit, type RequestSource } from '../domain/caller.js';
import {
  FINGERPRINT_VERSION,
  type FingerprintVersion,
  fingerprintVersionOf,
  hasSameContent,
} from '../domain/idempotency.js';
import { rejected } from '../domain/mutations.js';
import type { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import { fingerprintInSlices, readInSlices } from './bulk-slices.js';
import type { FairTurns } from './ports/fair-turns.js';
import type { LedgerReader } from './ports/ledger-reader.js';

export interface PreparationPorts {
  readonly reader: LedgerReader;
  readonly rules: BulkTransferRules;
  readonly turns: FairTurns;
}

/** The caller of a bulk, and the state of the client's connection. */
export type Requester = Pick<RequestSource, 'caller' | 'isAbandoned'>;

/** The key for which a bulk takes turns if its account is unknown. */
const UNKNOWN = 'unknown';

/** The bulk that an earlier request with the same key and content performed. */
export interface EarlierBulk {
  readonly performed: BulkTransfer;
}

/** A bulk that is judged as far as possible without its account's lock. */
export interface JudgedBulk {
  readonly performed?: undefined;
  readonly bulk: NormalisedBulk;
  readonly reading: BulkTransferReading;
  /** The fingerprint; undefined if the request has no key. */
  readonly fingerprint: string | undefined;
}

function versionOf({ fingerprint }: BulkTransfer): FingerprintVersion | undefined {
  return fingerprint === null ? undefined : fingerprintVersionOf(fingerprint);
}

/**
 * Reads a request and finds all its problems. Performing and the dry run share this function. The key is checked
 * first: the bulk of a used key is answered again, even if the same rows would be refused today.
 * @throws DomainError IDEMPOTENCY_KEY_REUSED
 */
export async function prepareBulkTransfer(
  request: BulkTransferRequest,
  { caller, isAbandoned }: Requester,
  { reader, rules, turns }: PreparationPorts,
): Promise<EarlierBulk | JudgedBulk> {
  const bulk = normaliseBulk(request);
  const accounts = await reader.accountFactsByIban(ibansOf(bulk));
  const named = accounts.get(bulk.organizationIban);
  // An account that the caller may not debit is treated like an account that does not exist.
  const debtor = named && mayDebit(caller, named.organizationId) ? named : undefined;
  const { idempotencyKey } = request;
  // Bulks of unknown accounts take turns as if they belonged to one organization.
  const slices = { turns, key: debtor?.organizationId ?? UNKNOWN, isAbandoned };
  const earlier =
    debtor && idempotencyKey !== undefined
      ? await reader.bulkTransferByKey(debtor.id, idempotencyKey)
      : null;
  const version = (earlier && versionOf(earlier)) ?? FINGERPRINT_VERSION;
  const fingerprint =
    idempotencyKey === undefined ? undefined : await fingerprintInSlices(bulk, version, slices);
  if (earlier) {
    assertSameContent(earlier, fingerprint, (other) => bulkTransferFingerprint(bulk, other));
    return { performed: earlier };
  }
  const rowReader = new BulkTransferReader(bulk, debtor, accounts, rules);
  const reading = await readInSlices(rowReader, bulk.rows.length, slices);
  return { bulk, reading, fingerprint };
}

/**
 * Asserts that a request has the content of the bulk with the same key. A key belongs to one content forever. If the
 * stored fingerprint has another version, a server of another release performed the bulk meanwhile. The content is
 * then hashed again in that version.
 * @throws DomainError IDEMPOTENCY_KEY_REUSED if the bulk has another content
 */
export function assertSameContent(
  earlier: BulkTransfer,
  fingerprint: string | undefined,
  fingerprintAs: (version: FingerprintVersion) => string,
): void {
  const made = fingerprint === undefined ? undefined : fingerprintVersionOf(fingerprint);
  const isSame =
    earlier.fingerprint !== null &&
    hasSameContent(earlier.fingerprint, (version) =>
      fingerprint !== undefined && version === made ? fingerprint : fingerprintAs(version),
    );
  if (isSame) return;
  throw rejected('performBulkTransfer', {
    code: 'IDEMPOTENCY_KEY_REUSED',
    idempotencyKey: earlier.idempotencyKey ?? '',
    bulkTransferId: earlier.id,
  });
}
