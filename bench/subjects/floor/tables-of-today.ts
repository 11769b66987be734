import { foldedNameBytes, positionOf } from '../bulk-rules.ts';
import type { PostedBulk, Tables } from './tables.ts';

export const TABLES_OF_TODAY: Tables = {
  transferColumns: [
    'account_id',
    'position',
    'amount_minor',
    'counterparty_name',
    'counterparty_name_folded',
    'counterparty_iban',
    'description',
  ],
  outboxSubject: 'subject_id',
  bulkId: bulkIdOf,
  transferValues: (transfer, index, { accountId, sequence }) => [
    accountId,
    positionOf(sequence, index),
    transfer.amountMinor,
    transfer.counterpartyName,
    foldedNameBytes(transfer.counterpartyName),
    transfer.counterpartyIban,
    transfer.description,
  ],
};

/** Makes the id of a bulk from its place: see src/domain/position-id.ts. */
function bulkIdOf({ accountId, sequence, at }: PostedBulk): Buffer {
  const account = BigInt(accountId.readUInt32BE(12));
  const time = BigInt(at.getTime()) % 2n ** 35n;
  // The bits of the kind are 0.
  const value = (account << 90n) | (positionOf(sequence, 0) << 37n) | time;
  const high = value >> 74n;
  const middle = (value >> 62n) & 0xfffn;
  const low = value & (2n ** 62n - 1n);
  const id = (high << 80n) | (8n << 76n) | (middle << 64n) | (2n << 62n) | low;
  return Buffer.from(id.toString(16).padStart(32, '0'), 'hex');
}
