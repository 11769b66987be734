import { stringify } from 'csv-stringify/sync';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fileOf, generatedFile, refusalOf, rowsOf } from '../../../test/support/file-bytes.js';
import type { CreditTransferRequest } from '../../domain/bulk-transfer.js';
import { readCsvFile } from './csv-file.js';

const IBAN = 'DE89370400440532013000';
const HEADER = 'beneficiary_name,iban,amount,reference\n';

/** Returns a cell as a careful program writes it: protected where a spreadsheet would see a formula. */
const protectedCell = (text: string) => (/^'*[=+\-@\t]/.test(text) ? `'${text}` : text);

/** A text without the characters that a file cannot keep: spaces around it, NUL and lone surrogates. */
const cellText = fc
  .string({
    unit: fc.oneof(
      fc.constantFrom(...'"\'=+-@,;|\t\r\n \ufeff'),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    ),
    maxLength: 30,
  })
  .map((text) => text.replaceAll('\0', '').replace(/^ +| +$/g, ''));

const given = fc.option(
  cellText.filter((text) => text !== ''),
  { nil: undefined },
);

/** Rows as our own export writes them: plain amounts in a currency of two digits. */
const row = fc.record({
  counterpartyName: cellText,
  counterpartyIban: cellText,
  amount: fc
    .tuple(fc.nat(10 ** 9), fc.nat(99))
    .map(([whole, cents]) => `${whole}.${String(cents).padStart(2, '0')}`),
  currency: fc.constantFrom('EUR', 'USD', undefined),
  counterpartyBic: given,
  description: cellText,
  endToEndId: given,
});

const FIELDS = {
  counterpartyName: 'beneficiary_name',
  counterpartyIban: 'iban',
  counterpartyBic: 'bic',
  amount: 'amount',
  currency: 'currency',
  description: 'reference',
  endToEndId: 'end_to_end_id',
} as const satisfies Record<keyof CreditTransferRequest, string>;

const KEYS = Object.keys(FIELDS) as (keyof typeof FIELDS)[];

/** Returns the values that were given. */
const givenOf = (values: object) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined));

describe('a CSV file of any rows', () => {
  test('is read as the same rows, with every delimiter, line break and encoding', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(row, { minLength: 1, maxLength: 5 }),
        fc.constantFrom(',', ';', '\t', '|'),
        fc.constantFrom('\n', '\r\n', '\r'),
        fc.constantFrom('utf8', 'utf16le'),
        fc.shuffledSubarray(KEYS, { minLength: KEYS.length }),
        async (rows, delimiter, lineBreak, encoding, columns) => {
          const text = stringify(
            [
              columns.map((column) => FIELDS[column]),
              ...rows.map((each) => columns.map((column) => protectedCell(each[column] ?? ''))),
            ],
            { delimiter, record_delimiter: lineBreak, quoted: true },
          );
          const bytes = Buffer.from(`\ufeff${text}`, encoding as BufferEncoding);
          const read = await rowsOf(await readCsvFile(fileOf(bytes, 7)));
          expect(read.map(({ values }) => values)).toEqual(rows.map(givenOf));
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe('the rows of a CSV file', () => {
  test('come in batches of at most 1,000 and can be read again', async () => {
    const text = HEADER + `One,${IBAN},1.50,x\n`.repeat(2_500);
    const file = await readCsvFile(fileOf(text));

    for (const _ of [1, 2]) {
      const sizes: number[] = [];
      for await (const batch of file.rows()) sizes.push(batch.length);
      expect(sizes).toEqual([1_000, 1_000, 500]);
    }
    expect(file.orders[0]?.rowCount).toBe(2_500);
  });

  test('may mix the line breaks of several systems', async () => {
    const text = `beneficiary_name,iban,amount\r\nOne,${IBAN},1\nTwo,${IBAN},2\rThree,${IBAN},3`;
    const rows = await rowsOf(await readCsvFile(fileOf(text, 1)));

    expect(rows.map(({ line, values }) => [line, values.counterpartyName])).toEqual([
      [2, 'One'],
      [3, 'Two'],
      [4, 'Three'],
    ]);
  });

  test('may have other delimiters than the header in their cells', async () => {
    const text = `name;iban;amount;a,b,c,d,e\nDoe, John|x;${IBAN};1;\t,,,\n`;
    const [first] = await rowsOf(await readCsvFile(fileOf(text)));

    expect(first?.values).toMatchObject({ counterpartyName: 'Doe, John|x', amount: '1' });
  });
});

describe('a limit of CSV files', () => {
  const MEGABYTES = 5;
  const chunk = (text: string) => text.repeat(1_048_576 / text.length);

  test.each([
    ['a quote that is never closed', `${HEADER}"`, 'abc\n'],
    ['a row that never ends', HEADER, 'abcd'],
    ['delimiters that never end', HEADER, ','],
    ['quotes that never end', HEADER, '"","'],
    ['a header that never ends', '', 'name,'],
    ['a quoted header that never ends', '"', 'name'],
  ])('refuses %s, with its line, soon after its encoding is known', async (_, start, text) => {
    let megabytes = 0;
    const file = generatedFile(MEGABYTES * 1_048_576, function* () {
      yield start;
      for (let part = 0; part < MEGABYTES; part += 1) {
        megabytes += 1;
        yield chunk(text);
      }
    });
    const [problem] = await refusalOf(readCsvFile, file);

    expect(problem).toMatchObject({ field: 'content', code: 'UNREADABLE_FILE' });
    expect(problem?.message).toMatch(/^Line [12]: /);
    // The head, the whole file for its encoding, its header line and the row.
    expect(megabytes).toBeLessThanOrEqual(1 + MEGABYTES + 1 + 1);
  });

  test('of 200 cells holds for each row', async () => {
    const header = `name,iban,amount${',x'.repeat(197)}`;
    const cells = `One,${IBAN},1${','.repeat(197)}`;
    expect((await rowsOf(await readCsvFile(fileOf(`${header}\n${cells}\n`)))).length).toBe(1);

    const [problem] = await refusalOf(readCsvFile, `${header}\n${cells}\n${cells},\n`);
    expect(problem?.message).toMatch(/^Line 3: .*200 cells/);
  });

  test('of 64 KiB holds for each row', async () => {
    const rowOf = (characters: number) => `One,${IBAN},1,${'x'.repeat(characters)}\n`;
    const fits = await readCsvFile(fileOf(HEADER + rowOf(65_000)));
    expect((await rowsOf(fits))[0]?.values.description).toHaveLength(65_000);

    const [problem] = await refusalOf(readCsvFile, HEADER + rowOf(1) + rowOf(66_000));
    expect(problem?.message).toMatch(/^Line 3: .*64 KiB/);
  });

  test('of rows is that of orders', async () => {
    const rows = generatedFile(20_000_000, function* () {
      yield 'name,iban,amount\n';
      for (let part = 0; part < 1_001; part += 1) yield 'A,B,1\n'.repeat(1_000);
    });

    expect(await refusalOf(readCsvFile, rows)).toMatchObject([
      { field: 'content', code: 'TOO_MANY' },
    ]);
  });

  test('refuses a NUL character in any row, with its line', async () => {
    const [problem] = await refusalOf(readCsvFile, `${HEADER}One,${IBAN},1,x\nT\0wo,${IBAN},1,x\n`);

    expect(problem?.message).toMatch(/^Line 3: .*NUL/);
  });

  test('lets a cell of spaces and quotes take linear time', async () => {
    const spaces = `a${' '.repeat(30_000)}b`;
    const rows = `${spaces},${IBAN},1,"${'""'.repeat(10_000)}"\n`.repeat(20);

    expect(await rowsOf(await readCsvFile(fileOf(HEADER + rows)))).toHaveLength(20);
  });
});
