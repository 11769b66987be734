import { expect, test } from 'vitest';
import { bulkTransferFingerprint, normaliseBulk } from '../domain/bulk-transfer.js';
import type { FingerprintVersion } from '../domain/idempotency.js';
import { BulkTransfer } from '../entities/bulk-transfer.entity.js';
import { assertSameContent } from './prepare-bulk-transfer.js';

const requestOf = (amount: string) => ({
  organizationIban: 'FR7630006000011234567890189',
  creditTransfers: [
    {
      amount,
      counterpartyName: 'Zoë',
      counterpartyIban: 'DE89370400440532013000',
      description: 'Row',
    },
  ],
});

const performed = (amount: string, version: FingerprintVersion) =>
  BulkTransfer.of({
    accountId: '01900000-0000-7000-8000-00000000000a',
    sequence: 1n,
    idempotencyKey: 'k',
    fingerprint: bulkTransferFingerprint(normaliseBulk(requestOf(amount)), version),
    transferCount: 1,
    currency: 'EUR',
    totalAmountMinor: 100n,
    balanceAfterMinor: 0n,
    createdAt: new Date(0),
  });

test.each([
  [1, 1],
  [1, 2],
  [2, 1],
  [2, 2],
] as const)(
  'a bulk stored with version %i, while the request was hashed in version %i, is judged by its content',
  (stored, hashed) => {
    const request = normaliseBulk(requestOf('1.00'));
    const judge = (amount: string) =>
      assertSameContent(
        performed(amount, stored),
        bulkTransferFingerprint(request, hashed),
        (version) => bulkTransferFingerprint(request, version),
      );

    expect(() => judge('1')).not.toThrow();
    expect(() => judge('2')).toThrow('IDEMPOTENCY_KEY_REUSED');
  },
);
