/** The encodings of request bodies: none, or gzip, which is undone as the body arrives. */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import type { Refusal } from './refusal.js';

/** Encodings in which bodies are taken; `x-gzip` is another name of gzip: RFC 9110, 8.4.1.3. */
const DECODERS = { identity: readAsIs, gzip: gunzip, 'x-gzip': gunzip } as const;

/** A window of 32 KiB, a chunk of output, and zlib's state. */
const GUNZIP_BYTES = 65_536;

/** A body without its encoding. */
export interface DecodedBody {
  readonly source: Readable;
  /** Memory that decoding takes while it lasts. */
  readonly memoryBytes: number;
  /** Ends decoding; what else arrives is thrown away. */
  readonly discard: () => void;
}

/** Tells whether the bytes of a body are as many as its Content-Length says. */
export function isEncoded({ headers }: Pick<IncomingMessage, 'headers'>): boolean {
  return encodingOf(headers['content-encoding']) !== 'identity';
}

/** @returns the refusal of an encoding that is not known, or of several */
export function decodeBody(stream: IncomingMessage): DecodedBody | Refusal {
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

/** zlib works beside the event loop, and no faster than its output is taken: no body becomes large at once. */
function gunzip(stream: IncomingMessage): DecodedBody {
  const source = createGunzip();
  // Whoever reads listens, too; after that nobody needs to know.
  source.on('error', () => {});
  stream.pipe(source);
  const discard = () => {
    stream.unpipe(source);
    source.destroy();
    stream.resume();
  };
  return { source, memoryBytes: GUNZIP_BYTES, discard };
}

const UNSUPPORTED: Refusal = {
  code: 'UNSUPPORTED_CONTENT_ENCODING',
  message: 'A body is sent as it is, or with Content-Encoding: gzip, once.',
};
