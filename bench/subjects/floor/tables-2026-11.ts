import { foldedNameBytes, positionOf } from '../bulk-rules.ts';
import { newId, type Tables } from './tables.ts';

export const TABLES_OF_2026: Tables = {
  transferColumns: [
    'id',
    'bulk_transfer_id',
    'account_id',
    'position',
    'currency',
    'amount_minor',
    'counterparty_name',
    'counterparty_name_folded',
    'counterparty_iban',
    'description',
    'created_at',
  ],
  outboxSubject: 'account_id',
  bulkId: newId,
  transferValues: (transfer, index, { bulkId, accountId, sequence, at }) => [
    newId(),
    bulkId,
    accountId,
    positionOf(sequence, index),
    'EUR',
    transfer.amountMinor,
    transfer.counterpartyName,
    foldedNameBytes(transfer.counterpartyName),
    transfer.counterpartyIban,
    transfer.description,
    at,
  ],
};
