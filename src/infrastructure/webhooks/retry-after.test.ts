import { describe, expect, test } from 'vitest';
import { RETRY_AFTER_MS_MAX, readRetryAfter } from './retry-after.js';

const NOW_MS = Date.UTC(2026, 10, 28, 12, 0, 0);

describe('Retry-After', () => {
  test.each([
    ['0', 0],
    ['120', 120_000],
    [' 7 ', 7_000],
    ['86401', RETRY_AFTER_MS_MAX],
    ['9'.repeat(400), RETRY_AFTER_MS_MAX],
    ['Sat, 28 Nov 2026 12:01:30 GMT', 90_000],
    ['Sat, 28 Nov 2026 11:59:59 GMT', 0],
    ['Mon, 28 Nov 2126 12:00:00 GMT', RETRY_AFTER_MS_MAX],
  ])('%j is %d ms', (value, delayMs) => {
    expect(readRetryAfter(value, NOW_MS)).toBe(delayMs);
  });

  test.each([
    ...[undefined, '', '-1', '1.5', '1e3', '0x10', 'soon', '2026-11-28'],
    ...['Sat, 99 Nov 2026 12:00:00 GMT', 'Sat, 28 Nov 2026 12:00:00 +0100'],
  ])('%j is no time', (value) => {
    expect(readRetryAfter(value, NOW_MS)).toBeNull();
  });
});
