/** The records of CSV text, by csv-parse with limits of our own. */
import { CsvError, parse } from 'csv-parse';
import type { DomainError } from '../../domain/errors.js';
import { unreadableFile } from './unreadable-file.js';

export type Delimiter = ',' | ';' | '\t' | '|';

export interface CsvRecord {
  /** The line on which the record begins, from 1. */
  readonly line: number;
  readonly cells: readonly string[];
}

/** The largest size of a record in bytes. A quote that is never closed exceeds it soon. */
export const RECORD_BYTES_MAX = 65_536;

/** The largest number of cells of a record. */
const COLUMNS_MAX = 200;

/** Counts the line breaks of a text: CRLF, LF or CR. */
function lineBreaksIn(text: string): number {
  if (!text.includes('\n') && !text.includes('\r')) return 0;
  return text.match(/\r\n|\n|\r/g)?.length ?? 0;
}

/**
 * Reads records from pieces of text.
 * @returns the records that end in each piece; a line without characters is a record with one empty cell
 * @throws DomainError for text that is no CSV or exceeds a limit
 */
export async function* csvRecords(
  text: AsyncIterable<string>,
  delimiter: Delimiter,
): AsyncGenerator<readonly CsvRecord[]> {
  const reader = new RecordReader(delimiter);
  for await (const piece of text) {
    const records = await reader.read(piece);
    if (records.length > 0) yield records;
  }
  yield await reader.end();
}

class RecordReader {
  #records: CsvRecord[] = [];
  /** The line on which the next record begins. csv-parse counts a CRLF inside quotes as two lines. */
  #line = 1;
  /** The characters that were read since the last record ended. */
  #unfinishedCharacters = 0;
  #refusal: DomainError | undefined;
  readonly #parser;

  constructor(delimiter: Delimiter) {
    this.#parser = parse({
      // With several delimiters, csv-parse divides "1234,56" in two.
      delimiter,
      // csv-parse would learn the line break from the first line, and not see another one below.
      record_delimiter: ['\r\n', '\n', '\r'],
      relax_column_count: true,
      max_record_size: RECORD_BYTES_MAX,
      on_record: (cells: string[]) => {
        this.#add(cells);
        return null;
      },
    });
    // Each failure reaches the callback of its write.
    this.#parser.on('error', () => {});
    this.#parser.resume();
  }

  #add(cells: readonly string[]): void {
    if (cells.length > COLUMNS_MAX) {
      this.#refusal ??= unreadableFile(`The row has more than ${COLUMNS_MAX} cells.`, this.#line);
    }
    this.#records.push({ line: this.#line, cells });
    for (const cell of cells) this.#line += lineBreaksIn(cell);
    this.#line += 1;
  }

  async read(piece: string): Promise<readonly CsvRecord[]> {
    await new Promise<void>((resolve, reject) => {
      this.#parser.write(piece, 'utf8', (error) => (error ? reject(error) : resolve()));
    }).catch((error: unknown) => {
      throw this.#refusalOf(error);
    });
    const records = this.#take();
    // csv-parse does not count delimiters, so it would keep any number of empty cells.
    this.#unfinishedCharacters = records.length > 0 ? 0 : this.#unfinishedCharacters + piece.length;
    if (this.#unfinishedCharacters > RECORD_BYTES_MAX) throw tooLong(this.#line);
    return records;
  }

  async end(): Promise<readonly CsvRecord[]> {
    await new Promise<void>((resolve, reject) => {
      this.#parser.once('error', reject);
      this.#parser.end(resolve);
    }).catch((error: unknown) => {
      throw this.#refusalOf(error);
    });
    return this.#take();
  }

  #take(): readonly CsvRecord[] {
    if (this.#refusal) throw this.#refusal;
    const records = this.#records;
    this.#records = [];
    return records;
  }

  #refusalOf(error: unknown): unknown {
    if (this.#refusal) return this.#refusal;
    if (!(error instanceof CsvError)) return error;
    switch (error.code) {
      case 'CSV_MAX_RECORD_SIZE':
        return tooLong(this.#line);
      case 'CSV_QUOTE_NOT_CLOSED':
        return unreadableFile('A quote is opened in this row and never closed.', this.#line);
      default:
        return unreadableFile(
          'A quote is at a wrong place. Put the whole cell in quotes, and write each quote inside it twice.',
          this.#line,
        );
    }
  }
}

function tooLong(line: number): DomainError {
  const message = `The row is longer than ${RECORD_BYTES_MAX / 1_024} KiB. Perhaps a quote is not closed.`;
  return unreadableFile(message, line);
}
