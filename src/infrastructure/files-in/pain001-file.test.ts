import { describe, expect, test } from 'vitest';
import { fileOf, generatedFile, refusalOf, rowsOf } from '../../../test/support/file-bytes.js';
import { readPain001File } from './pain001-file.js';

const DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';
const ROOT = '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09">';
const ROW =
  '<CdtTrfTxInf><Amt><InstdAmt Ccy="EUR">0.01</InstdAmt></Amt><Cdtr><Nm>A</Nm></Cdtr></CdtTrfTxInf>\n';

const paymentOf = (rows: string, head = '') =>
  `<PmtInf>${head}<PmtMtd>TRF</PmtMtd>\n<DbtrAcct><Id><IBAN>FR7630006000011234567890189</IBAN></Id></DbtrAcct>\n${rows}</PmtInf>`;

const documentOf = (payments: string, count = 1) =>
  `${DECLARATION}${ROOT}<CstmrCdtTrfInitn><GrpHdr><NbOfTxs>${count}</NbOfTxs></GrpHdr>\n${payments}</CstmrCdtTrfInitn></Document>`;

/** Wraps a row that has an element of its own. */
const withElement = (element: string) =>
  documentOf(paymentOf(ROW.replace('<Cdtr>', `${element}<Cdtr>`)));

describe('the rows of a pain.001 file', () => {
  test('come in batches of at most 1,000, with their orders and lines, and can be read again', async () => {
    const payments = paymentOf(ROW.repeat(1_500)) + paymentOf(ROW.repeat(1_000));
    const file = await readPain001File(fileOf(documentOf(payments, 2_500)));

    expect(file.orders.map(({ rowCount, problems }) => [rowCount, problems])).toEqual([
      [1_500, []],
      [1_000, []],
    ]);
    for (const _ of [1, 2]) {
      const sizes: number[] = [];
      for await (const batch of file.rows()) sizes.push(batch.length);
      expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000);
      expect(sizes.reduce((one, other) => one + other, 0)).toBe(2_500);
    }
    const rows = await rowsOf(file);
    expect([rows[0], rows[1_499], rows[1_500]].map((row) => [row?.order, row?.line])).toEqual([
      [0, 5],
      [0, 1_504],
      [1, 1_507],
    ]);
  });

  test('that are as short as possible are at most 1,000 in a batch', async () => {
    const rows = '<CdtTrfTxInf/>'.repeat(5_000);
    const file = await readPain001File(fileOf(documentOf(paymentOf(rows), 5_000)));

    const sizes: number[] = [];
    for await (const batch of file.rows()) sizes.push(batch.length);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(1_000);
    expect(sizes.reduce((one, other) => one + other, 0)).toBe(5_000);
  });

  test('have no values from elements of another namespace', async () => {
    const other = ROW.replace('<Cdtr>', '<Cdtr xmlns="urn:other">');
    const prefixed = ROW.replaceAll('Cdtr>', 'x:Cdtr>');
    const file = await readPain001File(fileOf(documentOf(paymentOf(other + prefixed), 2)));

    expect((await rowsOf(file)).map(({ values }) => values.counterpartyName)).toEqual(['', '']);
  });
});

describe('the day of execution', () => {
  const today = new Date().toISOString().slice(0, 10);

  test('of today has no warning', async () => {
    const head = `<ReqdExctnDt><Dt>${today}</Dt></ReqdExctnDt>`;
    const { orders } = await readPain001File(fileOf(documentOf(paymentOf(ROW, head))));

    expect(orders).toMatchObject([{ executionDate: today, warnings: [] }]);
  });

  test.each(['2025-3-3', '03.03.2025', '2025-13-01', '2025-02-29', '2025-03-03T', 'tomorrow'])(
    'is a problem if it is %s',
    async (date) => {
      const head = `<ReqdExctnDt><Dt>${date}</Dt></ReqdExctnDt>`;
      const { orders } = await readPain001File(fileOf(documentOf(paymentOf(ROW, head))));

      expect(orders).toMatchObject([
        { executionDate: null, problems: [{ field: 'executionDate', code: 'INVALID_DATE' }] },
      ]);
    },
  );
});

describe('a limit of pain.001 files', () => {
  /** The parts of one mebibyte that a reader may take before it refuses a file of 8. */
  const PARTS_MAX = 2;

  /** Reads a file that goes on with the same text for 8 MiB, and returns the problem and the number of parts read. */
  async function endless(start: string, text: string) {
    let parts = 0;
    const file = generatedFile(8 * 1_048_576, function* () {
      yield start;
      for (; parts < 8; parts += 1) yield text.repeat(1_048_576 / text.length);
    });
    const [problem] = await refusalOf(readPain001File, file);
    return { problem, parts };
  }

  const inRow = documentOf(paymentOf(ROW)).split('<Amt>')[0] ?? '';

  test.each([
    ['a DOCTYPE that never ends', `${DECLARATION}<!DOCTYPE a [`, '<!ENTITY a "b">', /DOCTYPE/],
    ['a quoted DOCTYPE that never ends', `${DECLARATION}<!DOCTYPE "`, 'a', /DOCTYPE/],
    ['a text that never ends', `${inRow}<Amt>`, 'abcd', /10,000/],
    ['white space that never ends', inRow, ' \n', /10,000/],
    ['white space that never ends before the root', DECLARATION, ' \n', /10,000/],
    ['a comment that never ends', `${inRow}<!--`, ' <a> ', /10,000/],
    ['CDATA that never ends', `${inRow}<Amt><![CDATA[`, '<a> ', /10,000/],
    ['CDATA after CDATA', `${inRow}<Amt>`, '<![CDATA[abcd]]>', /10,000/],
    ['a processing instruction that never ends', `${inRow}<?a `, 'b c ', /10,000/],
    ['a name that never ends', `${inRow}<`, 'a', /10,000/],
    ['an attribute that never ends', `${inRow}<a b="`, 'c', /10,000/],
    ['attributes that never end', `${inRow}<a `, 'b="" ', /10,000/],
    ['a reference that never ends', `${inRow}<Amt>&`, 'a', /10,000/],
    ['nesting', inRow, '<a>', /too deep/],
    ['a declaration that never ends', '<?xml version="', '1', /10,000/],
  ])('refuses %s soon', async (_, start, text, message) => {
    const { problem, parts } = await endless(start, text);

    expect(problem).toMatchObject({ field: 'content', code: 'UNREADABLE_FILE' });
    expect(problem?.message).toMatch(/^Line [1-9][0-9]*: /);
    expect(problem?.message).toMatch(message);
    expect(parts).toBeLessThan(PARTS_MAX);
  });

  test('refuses 20,000 levels of nesting', async () => {
    const [problem] = await refusalOf(
      readPain001File,
      `${DECLARATION}${ROOT}${'<a>'.repeat(20_000)}${'</a>'.repeat(20_000)}</Document>`,
    );
    expect(problem?.message).toMatch(/too deep/);
  });

  test('refuses remittance lines that never end', async () => {
    const { problem, parts } = await endless(
      `${inRow}<RmtInf>`,
      `<Ustrd>${'a'.repeat(4_081)}</Ustrd>`,
    );
    expect(problem?.message).toMatch(/65536/);
    expect(parts).toBeLessThan(PARTS_MAX);
  });

  test.each([
    [
      '20 attributes',
      21,
      (count: number) =>
        `<a ${Array.from({ length: count }, (_, index) => `b${index}=""`).join(' ')}/>`,
    ],
    ['1,000 characters of an attribute', 1_001, (count: number) => `<a b="${'c'.repeat(count)}"/>`],
    ['100 characters of a name', 101, (count: number) => `<${'a'.repeat(count)}/>`],
    [
      '100 characters of the name of an attribute',
      101,
      (count: number) => `<a ${'b'.repeat(count)}=""/>`,
    ],
    ['10,000 characters of a text', 10_001, (count: number) => `<a>${'b'.repeat(count)}</a>`],
    ['20 levels', 17, (count: number) => '<a>'.repeat(count) + '</a>'.repeat(count)],
  ])('is %s, and nothing below is refused', async (_, tooMany, elementOf) => {
    const problems = await refusalOf(readPain001File, withElement(elementOf(tooMany)));
    expect(problems).toMatchObject([{ field: 'content', code: 'UNREADABLE_FILE' }]);

    const file = await readPain001File(fileOf(withElement(elementOf(tooMany - 1))));
    expect(file.orders[0]?.rowCount).toBe(1);
  });

  test('is 100 payments', async () => {
    const file = await readPain001File(fileOf(documentOf(paymentOf(ROW).repeat(100), 100)));
    expect(file.orders).toHaveLength(100);

    const problems = await refusalOf(readPain001File, documentOf(paymentOf(ROW).repeat(101), 101));
    expect(problems).toMatchObject([{ field: 'content', code: 'TOO_MANY' }]);
  });

  test('is 1,000,000 rows', async () => {
    const file = generatedFile(20_000_000, function* () {
      yield documentOf(paymentOf('')).split('</PmtInf>')[0] ?? '';
      for (let part = 0; part < 1_001; part += 1) yield '<CdtTrfTxInf/>'.repeat(1_000);
    });

    expect(await refusalOf(readPain001File, file)).toMatchObject([
      { field: 'content', code: 'TOO_MANY' },
    ]);
  });

  test.each([
    ['&xxe;', /undefined entity/],
    ['&#0;', /./],
    ['\u0001', /disallowed/],
    ['a & b', /./],
    ['<b>', /./],
  ])('refuses the text %j', async (text, message) => {
    const [problem] = await refusalOf(readPain001File, withElement(`<a>${text}</a>`));
    expect(problem?.message).toMatch(message);
  });
});
