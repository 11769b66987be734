/**
 * Compresses answers for clients that accept it. zlib works outside the event loop. Streams of events are not
 * compressed: they bypass the hook on answers, and compression would delay events.
 */
import { type BrotliOptions, brotliCompress, constants, gzip, type ZlibOptions } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** The minimum length for compression. A shorter answer fits into one packet uncompressed. */
const COMPRESSED_CHARACTERS_MIN = 1_024;

export type AnswerEncoding = 'br' | 'gzip';

/** The encodings in the server's order of preference, for clients without one. */
const ENCODINGS: AnswerEncoding[] = ['br', 'gzip'];

/** The size of zlib's output chunks. zlib's default of 16 KiB would take a turn of the event loop for each chunk. */
const CHUNK_BYTES = 65_536;

/** Brotli options whose output is about as small as gzip's default, in a third of its time. */
const BROTLI: BrotliOptions = {
  chunkSize: CHUNK_BYTES,
  params: { [constants.BROTLI_PARAM_QUALITY]: 4 },
};
const GZIP: ZlibOptions = { chunkSize: CHUNK_BYTES, level: 4 };

/**
 * Returns the encoding for an answer; undefined for an answer that is sent uncompressed. The Vary header tells caches
 * that the answer depends on the encoding. A client that refuses every encoding gets the answer uncompressed, because a
 * 406 would hide whether a bulk was performed.
 */
export function negotiateEncoding(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: string,
): AnswerEncoding | undefined {
  if (payload === '' || reply.hasHeader('content-encoding')) return undefined;
  const weightOf = readWeights(request.headers['accept-encoding'] ?? '');
  const isIdentityRefused = weightOf('identity', 1) === 0;
  if (payload.length < COMPRESSED_CHARACTERS_MIN && !isIdentityRefused) return undefined;
  const varies = reply.getHeader('vary');
  reply.header('vary', varies === undefined ? 'accept-encoding' : `${varies}, accept-encoding`);
  // A client that only refuses identity has named no encoding. gzip is used, because every client supports it.
  const fallback: AnswerEncoding | undefined =
    isIdentityRefused && weightOf('gzip', 1) > 0 ? 'gzip' : undefined;
  const [best] = ENCODINGS.filter((encoding) => weightOf(encoding, 0) > 0).sort(
    (one, other) => weightOf(other, 0) - weightOf(one, 0),
  );
  return best ?? fallback;
}

/**
 * Parses an Accept-Encoding header; RFC 9110, 12.5.3.
 * @returns a function that gives the weight of an encoding: its own, else the weight of `*`, else the weight for
 *   unnamed encodings
 */
function readWeights(header: string): (encoding: string, unnamed: number) => number {
  const weights = new Map(
    header.split(',').map((item) => {
      const [name = '', weight = 'q=1'] = item.toLowerCase().replace(/\s/g, '').split(';');
      return [name, Number(weight.slice('q='.length)) || 0];
    }),
  );
  return (encoding, unnamed) => weights.get(encoding) ?? weights.get('*') ?? unnamed;
}

/** Compresses an answer and sets its encoding. If zlib fails, `done` is called with the uncompressed answer. */
export function compressAnswer(
  reply: FastifyReply,
  payload: string,
  encoding: AnswerEncoding,
  done: (payload: Buffer | string) => void,
): void {
  const finish = (error: Error | null, compressed: Buffer) => {
    if (error) return done(payload);
    reply.header('content-encoding', encoding).removeHeader('content-length');
    done(compressed);
  };
  if (encoding === 'br') brotliCompress(payload, BROTLI, finish);
  else gzip(payload, GZIP, finish);
}
