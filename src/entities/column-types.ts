import { Type } from '@mikro-orm/core';
import { stringify } from 'uuid';

const UUID_BYTES = 16;

/**
 * Maps a UUID between a string in the program and 16 bytes in the database. The value is kept short because every
 * index repeats it.
 */
export class UuidColumn extends Type<string, Uint8Array> {
  override convertToDatabaseValue(value: string | Uint8Array): Uint8Array {
    if (typeof value !== 'string') return value;
    const bytes = Buffer.from(value.replaceAll('-', ''), 'hex');
    if (bytes.length !== UUID_BYTES) throw new TypeError('Not a UUID');
    return bytes;
  }

  override convertToJSValue(value: string | Uint8Array): string {
    return typeof value === 'string' ? value : stringify(value);
  }

  override getColumnType(): string {
    return 'binary(16)';
  }
}

/** Bytes of up to 16 MiB. */
export class BytesColumn extends Type<Uint8Array, Uint8Array> {
  override getColumnType(): string {
    return 'mediumblob';
  }
}

/** Text that is compared byte by byte: MySQL's text columns ignore trailing spaces, and may ignore case. */
export class ExactTextColumn extends Type<string | null, Uint8Array | null> {
  constructor(private readonly lengthMax: number) {
    super();
  }

  override convertToDatabaseValue(value: string | Uint8Array | null): Uint8Array | null {
    return typeof value === 'string' ? Buffer.from(value) : value;
  }

  override convertToJSValue(value: string | Uint8Array | null): string | null {
    return value instanceof Uint8Array ? Buffer.from(value).toString() : value;
  }

  override getColumnType(): string {
    return `varbinary(${this.lengthMax})`;
  }
}
