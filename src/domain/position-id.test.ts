import { describe, expect, test } from 'vitest';
import { type PositionedRow, parsePositionId, positionId } from './position-id.js';
import { firstPositionOf, transferPosition } from './postings.js';

const ROW: PositionedRow = {
  accountId: '01900000-0000-7000-8000-0000c0ffee42',
  position: transferPosition(7n, 3),
  createdAt: new Date('2026-11-23T10:00:00.123Z'),
};

/** The highest position: see transferPosition. */
const LAST = 2n ** 53n - 1n;

describe('positionId', () => {
  test('makes a UUIDv8 that begins with the short id of the account', () => {
    const id = positionId('transfer', ROW);
    expect(id).toMatch(/^c0ffee42-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  });

  test.each([0n, 1n, 2n ** 11n - 1n, 2n ** 11n, 2n ** 25n - 1n, 2n ** 25n, LAST])(
    'contains the position %d',
    (position) => {
      const id = positionId('incoming-transfer', { ...ROW, position });
      expect(parsePositionId(id)).toEqual({
        kind: 'incoming-transfer',
        accountShortId: 0xc0ffee42,
        position,
      });
    },
  );

  test('differs for a bulk and its first transfer', () => {
    const first = { ...ROW, position: firstPositionOf(7n) };
    const bulk = positionId('bulk-transfer', first);
    expect(positionId('transfer', first)).not.toBe(bulk);
    expect(parsePositionId(bulk)).toMatchObject({
      kind: 'bulk-transfer',
      position: first.position,
    });
  });

  test('differs for two rows that had one position in two histories', () => {
    const createdAt = new Date(ROW.createdAt.getTime() + 1);
    expect(positionId('transfer', { ...ROW, createdAt })).not.toBe(positionId('transfer', ROW));
  });

  test('sorts in the order of the history', () => {
    const positions = [
      transferPosition(1n, 0),
      transferPosition(1n, 2047),
      transferPosition(1n, 2048),
      transferPosition(2n, 0),
      transferPosition(32n, 0),
      transferPosition(2n ** 33n - 1n, 2 ** 20 - 1),
    ];
    const ids = positions.map((position, index) =>
      // Later positions have earlier times here, so the position alone decides.
      positionId('transfer', { ...ROW, position, createdAt: new Date(1_000 - index) }),
    );
    expect(ids.toSorted()).toEqual(ids);
  });
});

describe('parsePositionId', () => {
  test.each([
    ['a UUIDv7', '01900000-0000-7000-8000-0000c0ffee42'],
    ['a text', 'transfer'],
    ['an unknown kind', 'c0ffee42-0000-8000-8000-001800000000'],
  ])('returns undefined for %s', (_name, id) => {
    expect(parsePositionId(id)).toBeUndefined();
  });
});
