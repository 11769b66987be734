import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JsonScan } from './json-scan.js';

const NO_LIMITS = { depthMax: Number.MAX_SAFE_INTEGER, valuesMax: Number.MAX_SAFE_INTEGER };

/** Returns the depth of nested arrays and objects. */
function depthOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  return 1 + Math.max(0, ...Object.values(value).map(depthOf));
}

/** Returns the number of opening brackets and commas. */
function valuesOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0;
  const members = Object.values(value);
  const inner = members.reduce((sum: number, member) => sum + valuesOf(member), 0);
  return 1 + Math.max(0, members.length - 1) + inner;
}

function scan(text: string, limits = NO_LIMITS, chunkBytes = Number.MAX_SAFE_INTEGER) {
  const scanner = new JsonScan(limits);
  const bytes = Buffer.from(text);
  let fault: ReturnType<JsonScan['feed']>;
  for (let start = 0; start < bytes.length; start += chunkBytes) {
    fault = scanner.feed(bytes.subarray(start, start + chunkBytes));
  }
  return fault;
}

const json = fc.jsonValue({ maxDepth: 6 });
const spaces = fc.constantFrom(undefined, 1, '\t');

test('nesting is counted exactly, however the text is written and split', () => {
  fc.assert(
    fc.property(json, spaces, fc.integer({ min: 1, max: 9 }), (value, space, chunkBytes) => {
      const depth = depthOf(value);
      const text = JSON.stringify(value, null, space);
      expect(scan(text, { ...NO_LIMITS, depthMax: depth }, chunkBytes)).toBeUndefined();
      if (depth === 0) return;
      expect(scan(text, { ...NO_LIMITS, depthMax: depth - 1 }, chunkBytes)).toBe('JSON_TOO_DEEP');
    }),
  );
});

test('values are counted exactly, however the text is written and split', () => {
  fc.assert(
    fc.property(json, spaces, fc.integer({ min: 1, max: 9 }), (value, space, chunkBytes) => {
      const count = valuesOf(value);
      const text = JSON.stringify(value, null, space);
      expect(scan(text, { ...NO_LIMITS, valuesMax: count }, chunkBytes)).toBeUndefined();
      if (count === 0) return;
      const limits = { ...NO_LIMITS, valuesMax: count - 1 };
      expect(scan(text, limits, chunkBytes)).toBe('JSON_TOO_MANY_VALUES');
    }),
  );
});

test('the content of strings is not counted', () => {
  const limits = { depthMax: 1, valuesMax: 2 };
  for (const text of [
    '["[[[,,,{{{"]',
    String.raw`["\"[[["]`,
    String.raw`["\\\\",1]`,
    '["\u{1F600}[[["]',
  ])
    for (const chunkBytes of [1, 2, 3, 100]) expect(scan(text, limits, chunkBytes)).toBeUndefined();
});
