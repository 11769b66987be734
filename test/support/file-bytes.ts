import type {
  FileBytes,
  FileRow,
  OrderFile,
  ReadOrderFile,
} from '../../src/application/ports/order-file.js';
import { DomainError } from '../../src/domain/errors.js';
import type { Problem } from '../../src/domain/problem.js';

/** Returns a file that is kept in memory. @param partBytes the size of the parts in which it is read */
export function fileOf(content: string | Uint8Array, partBytes = 64 * 1_024): FileBytes {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  return {
    size: bytes.length,
    async *read() {
      for (let start = 0; start < bytes.length; start += partBytes) {
        yield bytes.subarray(start, start + partBytes);
      }
    },
  };
}

/** Returns a file whose parts are made while it is read. */
export function generatedFile(size: number, parts: () => Iterable<string>): FileBytes {
  return {
    size,
    async *read() {
      for (const part of parts()) yield new TextEncoder().encode(part);
    },
  };
}

/** Reads all rows of a file. */
export async function rowsOf(file: OrderFile): Promise<FileRow[]> {
  const rows: FileRow[] = [];
  for await (const batch of file.rows()) rows.push(...batch);
  return rows;
}

/** Returns the problems with which a file is refused. @throws Error if the file is read */
export async function refusalOf(
  read: ReadOrderFile,
  content: string | Uint8Array | FileBytes,
): Promise<readonly Problem[]> {
  const file = typeof content === 'object' && 'read' in content ? content : fileOf(content);
  try {
    await rowsOf(await read(file));
  } catch (error) {
    if (!(error instanceof DomainError)) throw error;
    if (error.rejection.code !== 'INVALID_INPUT') throw error;
    return error.rejection.problems;
  }
  throw new Error('The file was not refused');
}
