/** Spreadsheets (.xlsx) as programs save them: a zip file with a few XML files. */
import { crc32, deflateRawSync } from 'node:zlib';

/** A cell: a text, a number, nothing, or its XML after the address. */
export type SheetCell = string | number | null | { readonly xml: string };

interface ZipOptions {
  /** The sizes that the directory gives in place of the true ones, by the name of the entry. */
  readonly sizes?: Readonly<Record<string, number>>;
}

/** Makes a zip file of compressed texts. */
export function zipOf(
  files: Readonly<Record<string, string>>,
  { sizes = {} }: ZipOptions = {},
): Buffer {
  const bodies: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const [path, text] of Object.entries(files)) {
    const name = Buffer.from(path);
    const content = Buffer.from(text);
    const packed = deflateRawSync(content);
    const facts = Buffer.alloc(26);
    facts.writeUInt16LE(20, 0);
    facts.writeUInt16LE(8, 4);
    facts.writeUInt32LE(crc32(content), 10);
    facts.writeUInt32LE(packed.length, 14);
    facts.writeUInt32LE(sizes[path] ?? content.length, 18);
    facts.writeUInt16LE(name.length, 22);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    bodies.push(Buffer.from('PK\u0003\u0004'), facts, name, packed);
    directory.push(Buffer.from('PK\u0001\u0002\u0014\u0000'), facts, tail, name);
    offset += 30 + name.length + packed.length;
  }
  const count = Object.keys(files).length;
  const end = Buffer.alloc(22);
  end.write('PK\u0005\u0006');
  end.writeUInt16LE(count, 8);
  end.writeUInt16LE(count, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...bodies, ...directory, end]);
}

const RELATIONS = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const escaped = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
const addressOf = (column: number, row: number) => `${String.fromCharCode(65 + column)}${row + 1}`;

/** Makes the files of a workbook. Its texts are shared strings, and style 1 is a date. */
export function workbookOf(
  sheets: Readonly<Record<string, readonly (readonly SheetCell[])[]>>,
): Record<string, string> {
  const strings: string[] = [];
  const cellOf = (cell: SheetCell, address: string) => {
    if (cell === null) return '';
    if (typeof cell === 'number') return `<c r="${address}"><v>${cell}</v></c>`;
    if (typeof cell === 'object') return `<c r="${address}" ${cell.xml}</c>`;
    return `<c r="${address}" t="s"><v>${strings.push(cell) - 1}</v></c>`;
  };
  const xmlOf = (rows: readonly (readonly SheetCell[])[]) =>
    rows
      .map((cells, row) => {
        const xml = cells.map((cell, column) => cellOf(cell, addressOf(column, row))).join('');
        return `<row r="${row + 1}">${xml}</row>`;
      })
      .join('');
  const names = Object.keys(sheets);
  const worksheets = Object.values(sheets).map((rows, at) => [
    `xl/worksheets/sheet${at + 1}.xml`,
    `<worksheet><sheetData>${xmlOf(rows)}</sheetData></worksheet>`,
  ]);
  return {
    'xl/workbook.xml': `<workbook xmlns:r="${RELATIONS}"><sheets>${names
      .map((name, at) => `<sheet name="${name}" sheetId="${at + 1}" r:id="r${at}"/>`)
      .join('')}</sheets></workbook>`,
    'xl/_rels/workbook.xml.rels': `<Relationships>${names
      .map(
        (_, at) =>
          `<Relationship Id="r${at}" Type="${RELATIONS}/worksheet" Target="worksheets/sheet${at + 1}.xml"/>`,
      )
      .join('')}</Relationships>`,
    'xl/styles.xml':
      '<styleSheet><cellXfs><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs></styleSheet>',
    ...Object.fromEntries(worksheets),
    'xl/sharedStrings.xml': `<sst>${strings.map((text) => `<si><t>${escaped(text)}</t></si>`).join('')}</sst>`,
  };
}

/** Makes a spreadsheet with one sheet. */
export const spreadsheetOf = (rows: readonly (readonly SheetCell[])[]) =>
  zipOf(workbookOf({ Payroll: rows }));
