/**
 * Reads bytes that nobody wrote as a file: any bytes, and the fixtures with bytes replaced, removed, repeated and
 * inserted. A file is either read or refused with a DomainError, and rows are within their limits.
 */
import { readdirSync, readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fileOf } from '../../../test/support/file-bytes.js';
import type { ReadOrderFile } from '../../application/ports/order-file.js';
import { DomainError } from '../../domain/errors.js';
import { readCsvFile } from './csv-file.js';
import { readPain001File } from './pain001-file.js';

/** The seed of all runs: a failure here fails everywhere. */
const SEED = 20_022;

const FOLDER = new URL('../../../test/fixtures/order-files/', import.meta.url);
const contentsOf = (extension: RegExp) =>
  readdirSync(FOLDER)
    .filter((name) => extension.test(name))
    .sort()
    .map((name) => readFileSync(new URL(name, FOLDER)));

const FORMATS: readonly (readonly [string, ReadOrderFile, readonly Buffer[], readonly string[]])[] =
  [
    [
      'CSV',
      readCsvFile,
      contentsOf(/\.[ct]sv$/),
      [
        '"',
        '""',
        ',',
        ';',
        '\t',
        '\r',
        '\n',
        '\0',
        "'",
        '1.234',
        '1,234',
        '8.9E+19',
        '\ufeff',
        ',,,,,',
      ],
    ],
    [
      'pain.001',
      readPain001File,
      contentsOf(/\.xml$/),
      [
        '<',
        '>',
        '/>',
        '</',
        '&',
        '&#x0;',
        '&#xD800;',
        '<!--',
        '-->',
        '<![CDATA[',
        ']]>',
        '<?',
        '?>',
        '<!DOCTYPE a',
        '"',
        ' xmlns="a"',
        '<CdtTrfTxInf>',
        '</PmtInf>',
        '<IBAN>x</IBAN>',
        '1e9',
        '\0',
        '\r',
      ],
    ],
  ];

/** A change of a file: at a place, some bytes are removed and others are inserted. */
interface Edit {
  readonly place: number;
  readonly removed: number;
  readonly inserted: Uint8Array;
}

const editOf = (tokens: readonly string[]): fc.Arbitrary<Edit> =>
  fc.record({
    place: fc.double({ min: 0, max: 1, noNaN: true }),
    removed: fc.oneof(fc.constant(0), fc.nat(3), fc.nat(300)),
    inserted: fc.oneof(
      fc.constantFrom(...tokens).map((token) => Buffer.from(token)),
      fc.uint8Array({ maxLength: 4 }),
      fc
        .tuple(fc.constantFrom(...tokens), fc.nat(1_000))
        .map(([token, count]) => Buffer.from(token.repeat(count))),
    ),
  });

function edited(content: Uint8Array, edits: readonly Edit[]): Uint8Array {
  let bytes = Buffer.from(content);
  for (const { place, removed, inserted } of edits) {
    const at = Math.floor(place * bytes.length);
    bytes = Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at + removed)]);
  }
  return bytes;
}

/** Reads a file twice, and expects the same rows or a refusal. */
async function expectRowsOrRefusal(read: ReadOrderFile, bytes: Uint8Array, partBytes: number) {
  try {
    const file = await read(fileOf(bytes, partBytes));
    let count = 0;
    for await (const batch of file.rows()) {
      expect(batch.length).toBeLessThanOrEqual(1_000);
      count += batch.length;
      for (const row of batch) expect(file.orders[row.order]).toBeDefined();
    }
    expect(count).toBe(file.orders.reduce((sum, { rowCount }) => sum + rowCount, 0));
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    expect(error.rejection).toMatchObject({ code: 'INVALID_INPUT' });
  }
}

describe.each(FORMATS)('a file that is no good %s', (_, read, contents, tokens) => {
  const partBytes = fc.constantFrom(11, 65_536);

  test('is read or refused if its bytes are changed', async () => {
    const mutated = fc
      .tuple(fc.constantFrom(...contents), fc.array(editOf(tokens), { minLength: 1, maxLength: 4 }))
      .map(([content, edits]) => edited(content, edits));
    await fc.assert(
      fc.asyncProperty(mutated, partBytes, (bytes, size) => expectRowsOrRefusal(read, bytes, size)),
      { numRuns: 400, seed: SEED },
    );
  });

  test('is read or refused if it is made of tokens', async () => {
    const text = fc
      .array(fc.constantFrom(...tokens, 'a', 'name,iban,amount\n', '<a>', '</a>'), {
        maxLength: 60,
      })
      .map((parts) => Buffer.from(parts.join('')));
    await fc.assert(
      fc.asyncProperty(text, partBytes, (bytes, size) => expectRowsOrRefusal(read, bytes, size)),
      { numRuns: 300, seed: SEED },
    );
  });

  test('is read or refused whatever its bytes are', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 400 }), partBytes, (bytes, size) =>
        expectRowsOrRefusal(read, bytes, size),
      ),
      { numRuns: 300, seed: SEED },
    );
  });
});
