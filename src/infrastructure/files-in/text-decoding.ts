/**
 * The encodings of files. A byte order mark decides. Without it, XML says its encoding, and a CSV file is UTF-8 if all
 * its bytes are, else Windows-1252. Bytes are never replaced: a file that its encoding does not explain is refused.
 */
import { TextDecoder } from 'node:util';
import type { FileBytes } from '../../application/ports/order-file.js';
import { quote } from '../../domain/problem.js';
import { CpuTurns } from './cpu-turns.js';
import { unreadableFile } from './unreadable-file.js';

export type TextEncoding = 'utf-8' | 'utf-16le' | 'utf-16be' | 'windows-1252';

/** The number of bytes that are decoded at once. */
const SLICE_BYTES = 8 * 1_024;

/** The number of bytes that a byte order mark or the declaration of XML may need. */
const HEAD_BYTES = 256;

const LINE_FEED = 0x0a;

/** Reads a file in slices of at most SLICE_BYTES, whatever the size of the parts in which the file is kept. */
async function* slicesOf(file: FileBytes): AsyncGenerator<Uint8Array> {
  const turns = new CpuTurns();
  for await (const part of file.read()) {
    for (let start = 0; start < part.length; start += SLICE_BYTES) {
      yield part.subarray(start, start + SLICE_BYTES);
      await turns.pause();
    }
  }
}

/** Reads the first bytes of a file. */
async function headOf(file: FileBytes): Promise<Uint8Array> {
  const head: number[] = [];
  for await (const slice of slicesOf(file)) {
    head.push(...slice.subarray(0, HEAD_BYTES - head.length));
    if (head.length === HEAD_BYTES) break;
  }
  if (head.length === 0) throw unreadableFile('The file is empty.');
  return Uint8Array.from(head);
}

const startsWith = (bytes: Uint8Array, ...start: readonly number[]) =>
  start.every((byte, index) => bytes[index] === byte);

function encodingOfMark(head: Uint8Array): TextEncoding | undefined {
  if (startsWith(head, 0xef, 0xbb, 0xbf)) return 'utf-8';
  if (startsWith(head, 0xff, 0xfe)) return 'utf-16le';
  if (startsWith(head, 0xfe, 0xff)) return 'utf-16be';
  return undefined;
}

/**
 * Finds the encoding of a CSV file. It reads the whole file, because one byte tells Windows-1252 from UTF-8.
 * @throws DomainError for a workbook or another file that is no text
 */
export async function csvEncoding(file: FileBytes): Promise<TextEncoding> {
  const head = await headOf(file);
  // The signatures of a zip archive and of a compound file.
  if (startsWith(head, 0x50, 0x4b, 0x03, 0x04) || startsWith(head, 0xd0, 0xcf, 0x11, 0xe0)) {
    throw unreadableFile('The file is a workbook, not CSV. Save it as "CSV UTF-8" first.');
  }
  return encodingOfMark(head) ?? ((await isUtf8(file)) ? 'utf-8' : 'windows-1252');
}

async function isUtf8(file: FileBytes): Promise<boolean> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  try {
    for await (const slice of slicesOf(file)) decoder.decode(slice, { stream: true });
    decoder.decode();
    return true;
  } catch (error) {
    if (error instanceof TypeError) return false;
    throw error;
  }
}

/** The encodings that a declaration of XML may name. Browsers read ISO-8859-1 as Windows-1252 too. */
const DECLARED: ReadonlyMap<string, TextEncoding> = new Map([
  ['utf-8', 'utf-8'],
  ['us-ascii', 'utf-8'],
  ['iso-8859-1', 'windows-1252'],
  ['windows-1252', 'windows-1252'],
]);

/** Finds the encoding of an XML file by its byte order mark or its declaration; UTF-8 if it has neither. */
export async function xmlEncoding(file: FileBytes): Promise<TextEncoding> {
  const head = await headOf(file);
  const marked = encodingOfMark(head);
  if (marked !== undefined) return marked;
  if (startsWith(head, 0x3c, 0x00)) return 'utf-16le';
  if (startsWith(head, 0x00, 0x3c)) return 'utf-16be';
  const start = String.fromCharCode(...head);
  const [, declared = 'UTF-8'] =
    /^<\?xml[^>]{0,200}?\sencoding\s*=\s*["']([^"'>]*)["']/.exec(start) ?? [];
  const encoding = DECLARED.get(declared.toLowerCase());
  if (encoding !== undefined) return encoding;
  throw unreadableFile(
    `The encoding ${quote(declared)} is not read. Save the file as UTF-8, ISO-8859-1, Windows-1252, or UTF-16 with a byte order mark.`,
    1,
  );
}

/**
 * Reads a file as text, in pieces of at most 8 Ki characters. A byte order mark is left out. Pieces end anywhere, also
 * between the two halves of a line break.
 * @throws DomainError for bytes that the encoding does not have, and for a NUL character
 */
export async function* decodedText(
  file: FileBytes,
  encoding: TextEncoding,
): AsyncGenerator<string> {
  const decoder = new TextDecoder(encoding, { fatal: true });
  let line = 1;
  for await (const slice of slicesOf(file)) {
    const piece = decode(decoder, slice, line);
    refuseNul(piece, line);
    if (piece !== '') yield piece;
    line += lineFeedsIn(slice);
  }
  decode(decoder, new Uint8Array(), line, false);
}

function decode(decoder: TextDecoder, slice: Uint8Array, line: number, stream = true): string {
  try {
    return decoder.decode(slice, { stream });
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    const { encoding } = decoder;
    const message = `The bytes are not ${encoding.toUpperCase()}, which the file seems to be. Save it as UTF-8.`;
    throw unreadableFile(message, encoding === 'utf-8' ? faultLineOf(slice, line) : line);
  }
}

/** Returns the line of the first bytes that are not UTF-8. @param line the line on which the slice begins */
function faultLineOf(slice: Uint8Array, line: number): number {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  // The slice may begin inside a character.
  let place = slice.findIndex((byte) => byte < 0x80 || byte >= 0xc0);
  let at = line;
  try {
    for (; place !== -1 && place < slice.length; place += 1) {
      decoder.decode(slice.subarray(place, place + 1), { stream: true });
      if (slice[place] === LINE_FEED) at += 1;
    }
    return line;
  } catch {
    return at;
  }
}

function refuseNul(piece: string, line: number): void {
  const place = piece.indexOf('\0');
  if (place === -1) return;
  const message =
    'The file has a NUL character: it is no text, or has another encoding. Save it as UTF-8.';
  throw unreadableFile(message, line + piece.slice(0, place).split('\n').length - 1);
}

function lineFeedsIn(slice: Uint8Array): number {
  let count = 0;
  let at = slice.indexOf(LINE_FEED);
  while (at !== -1) {
    count += 1;
    at = slice.indexOf(LINE_FEED, at + 1);
  }
  return count;
}
