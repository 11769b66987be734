/**
 * Compresses answers for clients that take them so. zlib works beside the event loop. Streams of events are no part of
 * this: they never pass the hook on answers, and an event that waits for more to compress would be late.
 */
import { type BrotliOptions, brotliCompress, constants, gzip, type ZlibOptions } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';

/** A smaller answer fits one packet as it is. */
const COMPRESSED_CHARACTERS_MIN = 1_024;

export type AnswerEncoding = 'br' | 'gzip';

/** The first is preferred where a client prefers none. */
const ENCODINGS: AnswerEncoding[] = ['br', 'gzip'];

/** Output that is handed over at once: zlib's own 16 KiB would take a turn of the event loop for each. */
const CHUNK_BYTES = 65_536;

/** About as small as gzip's default, in a third of its time. */
const BROTLI: BrotliOptions = {
  chunkSize: CHUNK_BYTES,
  params: { [constants.BROTLI_PARAM_QUALITY]: 4 },
};
const GZIP: ZlibOptions = { chunkSize: CHUNK_BYTES, level: 4 };

/**
 * Returns the encoding for an answer; undefined for one that is sent as it is. Caches are told that it depends. A client that
 * refuses every encoding gets the answer as it is: in place of it, 406 would hide whether a bulk was performed.
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
  // A client that refuses identity alone has named no encoding: gzip is the one that every client knows.
  const fallback: AnswerEncoding | undefined =
    isIdentityRefused && weightOf('gzip', 1) > 0 ? 'gzip' : undefined;
  const [best] = ENCODINGS.filter((encoding) => weightOf(encoding, 0) > 0).sort(
    (one, other) => weightOf(other, 0) - weightOf(one, 0),
  );
  return best ?? fallback;
}

/**
 * Reads an Accept-Encoding header; RFC 9110, 12.5.3.
 * @returns a function that gives the weight of an encoding: its own, else that of `*`, else the one for what is not named
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

/** Compresses an answer and names its encoding; `done` is called with it as it is where zlib fails. */
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
