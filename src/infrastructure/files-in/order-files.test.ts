/**
 * Reads each file of test/fixtures/order-files, which have the shapes that banks' templates, spreadsheets and payroll
 * programs make, and compares the result with expected.json beside them.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { fileOf, rowsOf } from '../../../test/support/file-bytes.js';
import { DomainError } from '../../domain/errors.js';
import { readCsvFile } from './csv-file.js';
import { readPain001File } from './pain001-file.js';

const FOLDER = new URL('../../../test/fixtures/order-files/', import.meta.url);
const EXPECTED = JSON.parse(readFileSync(new URL('expected.json', FOLDER), 'utf8'));
const NAMES = readdirSync(FOLDER).filter((name) => /\.(?:csv|tsv|xml)$/.test(name));

/** Reads a file, with all its rows, into what JSON can hold. */
async function reading(name: string, partBytes: number): Promise<unknown> {
  const read = name.endsWith('.xml') ? readPain001File : readCsvFile;
  try {
    const file = await read(fileOf(readFileSync(new URL(name, FOLDER)), partBytes));
    const { orders, columns } = file;
    return JSON.parse(JSON.stringify({ columns, orders, rows: await rowsOf(file) }));
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    return { refused: error.rejection };
  }
}

describe('the files', () => {
  test('are each expected', () => {
    expect(NAMES.length).toBeGreaterThanOrEqual(32);
    expect(Object.keys(EXPECTED).sort()).toEqual(NAMES.sort());
  });

  test.each(NAMES)('%s is read as expected', async (name) => {
    expect(await reading(name, 64 * 1_024)).toEqual(EXPECTED[name]);
  });

  test.each(NAMES)('%s is read alike in parts of one byte', async (name) => {
    expect(await reading(name, 1)).toEqual(EXPECTED[name]);
  });
});
