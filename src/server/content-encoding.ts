/** The encodings of request bodies: none, or gzip, which is decoded as the body arrives. */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { ErrorResponse } from './error-response.js';

/** Decoders by encoding. `x-gzip` is another name of gzip: RFC 9110, 8.4.1.3. */
const DECODERS = { identity: readAsIs, gzip: gunzip, 'x-gzip': gunzip } as const;

/** The memory of one decoder: a window of 32 KiB, a chunk of output, and zlib's state. */
const GUNZIP_BYTES = 65_536;

/** A body with its encoding removed. */
export interface DecodedBody {
  readonly source: Readable;
  /** The memory that decoding takes while the body arrives. */
  readonly memoryBytes: number;
  /** Ends decoding. The rest of the body is discarded. */
  readonly discard: () => void;
}

/** Tells whether a body is encoded, so that its Content-Length is not its decoded size. */
export function isEncoded({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return encodingOf(headers['content-encoding']) !== 'identity';
}

/** Returns the response to an unknown encoding, or of several encodings. */
export function decodeBody(stream: IncomingMessage): DecodedBody | ErrorResponse {
  const encoding = encodingOf(stream.headers['content-encoding']);
  return isKnown(encoding) ? DECODERS[encoding](stream) : UNSUPPORTED;
}

function encodingOf(header = ''): string {
  return header.trim().toLowerCase() || 'identity';
}

function isKnown(encoding: string): encoding is keyof typeof DECODERS {
  return Object.hasOwn(DECODERS, encoding);
}

function readAsIs(source: IncomingMessage): DecodedBody {
  return { source, memoryBytes: 0, discard: () => {} };
}

/**
 * Decodes gzip. zlib works outside the event loop, and only as fast as its output is read. The memory of a body
 * therefore grows gradually.
 */
function gunzip(stream: IncomingMessage): DecodedBody {
  const source = createGunzip();
  // The reader has its own error listener. This listener ignores errors after the reader has finished.
  source.on('error', () => {});
  stream.pipe(source);
  const discard = () => {
    stream.unpipe(source);
    source.destroy();
    stream.resume();
  };
  return { source, memoryBytes: GUNZIP_BYTES, discard };
}

const UNSUPPORTED: ErrorResponse = {
  code: 'UNSUPPORTED_CONTENT_ENCODING',
  message: 'Send the body without an encoding, or with Content-Encoding: gzip once.',
};
