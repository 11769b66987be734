import { expect, test } from 'vitest';
import { normaliseBulk } from '../domain/bulk-transfer.js';
import { AbandonedError } from '../domain/errors.js';
import { fingerprintInSlices } from './bulk-slices.js';

const bulkOf = (count: number) => ({
  organizationIban: 'FR7630006000011234567890189',
  creditTransfers: Array.from({ length: count }, (_, index) => ({
    amount: `${index}.00`,
    counterpartyName: 'Zoë',
    counterpartyIban: 'DE89370400440532013000',
    description: `Row ${index}`,
  })),
});

test('a large bulk whose request was abandoned stops at its next slice', async () => {
  let turnsTaken = 0;
  const turns = {
    take: async () => {
      turnsTaken += 1;
    },
  };
  const slices = { turns, key: 'one', isAbandoned: () => turnsTaken > 1 };

  await expect(fingerprintInSlices(normaliseBulk(bulkOf(10_000)), 2, slices)).rejects.toThrow(
    AbandonedError,
  );

  expect(turnsTaken).toBe(2);
});
