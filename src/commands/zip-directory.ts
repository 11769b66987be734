/**
 * Reads the central directory of a zip file, which names its entries and their sizes (APPNOTE 6.3.10, 4.3). A small file
 * can grow to a thousand times its size, so the sizes are looked at before anything is unpacked.
 */
import { inflateRawSync } from 'node:zlib';

/** An entry of a zip file. */
export interface ZipEntry {
  readonly name: string;
  readonly method: number;
  readonly compressedBytes: number;
  readonly bytes: number;
  readonly offset: number;
}

const END_SIGNATURE = 0x06054b50;
const END_BYTES = 22;
const COMMENT_BYTES_MAX = 65_535;
const ENTRY_SIGNATURE = 0x02014b50;
const ENTRY_BYTES = 46;
const LOCAL_SIGNATURE = 0x04034b50;
const LOCAL_BYTES = 30;
const STORED = 0;
const DEFLATED = 8;

/** Returns the entries of a zip file. @throws Error if the file is no zip file without the extensions of zip64 */
export function readZipDirectory(file: Buffer): ZipEntry[] {
  const end = endOf(file);
  const count = file.readUInt16LE(end + 10);
  let at = file.readUInt32LE(end + 16);
  return Array.from({ length: count }, () => {
    if (file.readUInt32LE(at) !== ENTRY_SIGNATURE) throw new Error('its directory is damaged');
    const nameEnd = at + ENTRY_BYTES + file.readUInt16LE(at + 28);
    const entry = {
      name: file.toString('utf8', at + ENTRY_BYTES, nameEnd),
      method: file.readUInt16LE(at + 10),
      compressedBytes: file.readUInt32LE(at + 20),
      bytes: file.readUInt32LE(at + 24),
      offset: file.readUInt32LE(at + 42),
    };
    at = nameEnd + file.readUInt16LE(at + 30) + file.readUInt16LE(at + 32);
    return entry;
  });
}

/** Returns the position of the end record, which a comment may follow. */
function endOf(file: Buffer): number {
  const first = Math.max(0, file.length - END_BYTES - COMMENT_BYTES_MAX);
  for (let at = file.length - END_BYTES; at >= first; at -= 1) {
    if (file.readUInt32LE(at) === END_SIGNATURE) return at;
  }
  throw new Error('it is cut off, or no zip file');
}

/** Unpacks an entry. @throws Error if it is damaged, or larger than the directory says */
export function unpackEntry(file: Buffer, entry: ZipEntry): Buffer {
  const { name, method, offset, compressedBytes, bytes } = entry;
  if (file.readUInt32LE(offset) !== LOCAL_SIGNATURE) throw new Error(`${name} is damaged`);
  const begin =
    offset + LOCAL_BYTES + file.readUInt16LE(offset + 26) + file.readUInt16LE(offset + 28);
  const content = file.subarray(begin, begin + compressedBytes);
  if (method === STORED) return content;
  if (method !== DEFLATED) throw new Error(`${name} is compressed in an unknown way`);
  return inflateRawSync(content, { maxOutputLength: Math.max(bytes, 1) });
}
