import { describe, expect, test } from 'vitest';
import {
  type SheetCell,
  spreadsheetOf,
  workbookOf,
  zipOf,
} from '../../test/support/spreadsheet.js';
import { csvOfSpreadsheet, isOldSpreadsheet, isSpreadsheet, numberText } from './spreadsheet.js';

const csvOf = (rows: readonly (readonly SheetCell[])[]) => csvOfSpreadsheet(spreadsheetOf(rows));

describe('the text of a number', () => {
  test.each([
    ['1.1000000000000001', '1.1'],
    ['0.30000000000000004', '0.3'],
    ['14.5', '14.5'],
    ['1234567.89', '1234567.89'],
    ['2.5E-2', '0.025'],
    ['-3', '-3'],
    ['100', '100'],
    ['999999999999999', '999999999999999'],
    // The last digits of an IBAN are lost, so it must not look like one.
    ['89370400440532013000', '8.9370400440532E+19'],
    ['12E', '12E'],
  ])('%s is shown as %s', (text, shown) => {
    expect(numberText(text)).toBe(shown);
  });
});

describe('a spreadsheet', () => {
  test('becomes CSV, a line for each row', async () => {
    const csv = await csvOf([
      ['name', 'iban', 'amount', 'reference'],
      ['Zoë & "Co", Ltd', 'DE89370400440532013000', 1.1000000000000001, null],
      [],
      ['Jane', null, 20, { xml: 't="inlineStr"><is><t>a &lt; b</t></is>' }],
    ]);

    expect(csv.split('\n')).toEqual([
      'name,iban,amount,reference',
      '"Zoë & ""Co"", Ltd",DE89370400440532013000,1.1,',
      ',,,',
      'Jane,,20,a < b',
      '',
    ]);
  });

  test('gives the result of a formula, a day for a date, and a word for a truth value', async () => {
    const csv = await csvOf([
      [
        { xml: '><f>SUM(A1:A2)</f><v>0.30000000000000004</v>' },
        { xml: 't="str"><f>A1&amp;"x"</f><v>0.3x</v>' },
        { xml: 's="1"><v>46354</v>' },
        { xml: 's="1"><v>46354.5</v>' },
        { xml: 't="b"><v>1</v>' },
      ],
    ]);

    expect(csv).toBe('0.3,0.3x,2026-11-28,2026-11-28T12:00:00,TRUE\n');
  });

  test.each([
    ['an error', { xml: 't="e"><f>1/0</f><v>#DIV/0!</v>' }, 'The cell B1 has an error'],
    ['a formula without its result', { xml: '><f>1+1</f>' }, 'The cell B1 has a formula without'],
  ])('with %s in a cell is refused', async (_what, cell, message) => {
    await expect(csvOf([['a', cell]])).rejects.toThrow(message);
  });

  test('with several sheets needs a name, and empty sheets do not count', async () => {
    const file = zipOf(workbookOf({ First: [['a']], Second: [['b', 'c']], Third: [] }));

    await expect(csvOfSpreadsheet(file)).rejects.toThrow(
      'several sheets: choose by --sheet: "First", "Second", "Third"',
    );
    expect(await csvOfSpreadsheet(file, 'Second')).toBe('b,c\n');
    await expect(csvOfSpreadsheet(file, 'Fourth')).rejects.toThrow('no sheet of this name');
    expect(await csvOfSpreadsheet(zipOf(workbookOf({ Empty: [], Full: [['x']] })))).toBe('x\n');
    await expect(csvOf([])).rejects.toThrow('The spreadsheet is empty');
  });

  test('has at most 10,000 rows after the header, and 100 columns', async () => {
    const rows = (count: number) => Array.from({ length: count }, (_, row) => [`name ${row}`, row]);
    const last = (address: string) =>
      zipOf({
        ...workbookOf({ Payroll: [] }),
        'xl/worksheets/sheet1.xml': `<worksheet><sheetData><row><c r="${address}"><v>1</v></c></row></sheetData></worksheet>`,
      });

    const csv = await csvOf(rows(10_001));
    expect(csv.split('\n')).toHaveLength(10_002);
    expect(csv.split('\n')[9_999]).toBe('name 9999,9999');
    await expect(csvOf(rows(10_002))).rejects.toThrow('more than 10000 rows: save it as CSV');
    await expect(csvOfSpreadsheet(last('A1000000'))).rejects.toThrow('more than 10000 rows');
    await expect(csvOfSpreadsheet(last('ZZ1'))).rejects.toThrow('more than 100 columns');
    await expect(csvOfSpreadsheet(last('AAAAAAAA1'))).rejects.toThrow('cannot be read');
  });

  test('that would be large when it is unpacked is refused before it is', async () => {
    const files = workbookOf({ Payroll: [['a']] });
    const path = 'xl/worksheets/sheet1.xml';
    const bomb = zipOf(files, { sizes: { [path]: 234 * 1_024 * 1_024 } });
    // The directory says less than there is.
    const lie = zipOf(
      { ...files, [path]: `${files[path]}${' '.repeat(60_000_000)}` },
      { sizes: { [path]: 1_000 } },
    );

    expect(lie.length).toBeLessThan(100_000);
    await expect(csvOfSpreadsheet(bomb)).rejects.toThrow(
      'has 235 MiB when it is unpacked, more than 50: save it as CSV',
    );
    await expect(csvOfSpreadsheet(lie)).rejects.toThrow('cannot be read');
  });

  test('that is damaged, or another zip file, is refused in a sentence', async () => {
    const whole = spreadsheetOf([['a', 1]]);
    const damaged = [
      whole.subarray(0, whole.length - 40),
      Buffer.concat([whole.subarray(0, 60), Buffer.alloc(30), whole.subarray(90)]),
      zipOf({ 'a.txt': 'b' }),
      zipOf({
        ...workbookOf({ Payroll: [] }),
        'xl/worksheets/sheet1.xml': '<!DOCTYPE x [<!ENTITY y "z">]><worksheet/>',
      }),
    ];

    for (const file of damaged) {
      await expect(csvOfSpreadsheet(Buffer.from(file))).rejects.toThrow(
        /^The spreadsheet cannot be read: .*; save it as CSV and import that$/,
      );
    }
  });
});

test('a spreadsheet is known by its first bytes', () => {
  expect(isSpreadsheet(spreadsheetOf([]))).toBe(true);
  expect(isSpreadsheet(Buffer.from('name,iban\n'))).toBe(false);
  expect(isOldSpreadsheet(Buffer.from('d0cf11e0a1b11ae1', 'hex'))).toBe(true);
});
