/**
 * A file that was received whole, in a temporary file of the operating system. The temporary file has no name while it is
 * open, so nothing is left of it, even if the process is killed.
 */
import { createHash } from 'node:crypto';
import { type FileHandle, mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { FileBytes } from '../../application/ports/order-file.js';

/** The bytes that are read at once. */
const PART_BYTES = 65_536;

export class SpooledFile implements FileBytes {
  readonly #hash = createHash('sha256');
  #size = 0;

  private constructor(private readonly handle: FileHandle) {}

  static async create(): Promise<SpooledFile> {
    const folder = await mkdtemp(join(tmpdir(), 'virement-'));
    try {
      return new SpooledFile(await open(join(folder, 'file'), 'wx+', 0o600));
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  get size(): number {
    return this.#size;
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#hash.update(bytes);
    await this.handle.appendFile(bytes);
    this.#size += bytes.length;
  }

  /** Returns the SHA-256 of all bytes, in hexadecimal digits. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  async *read(): AsyncGenerator<Uint8Array> {
    for (let position = 0; position < this.#size; ) {
      const part = new Uint8Array(Math.min(PART_BYTES, this.#size - position));
      const { bytesRead } = await this.handle.read(part, 0, part.length, position);
      if (bytesRead === 0) throw new Error('The temporary file ended before its end');
      yield part.subarray(0, bytesRead);
      position += bytesRead;
    }
  }

  close(): Promise<void> {
    return this.handle.close();
  }
}
