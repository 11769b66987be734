/**
 * Compresses answers for clients that take them so. zlib works beside the event loop. Streams of events are no part of
 * this: they never pass the hook on answers, and an event that waits for more to compress would be late.
 */
import { type BrotliOptions, brotliCompress, constants, gzip, type ZlibOptions } from 'node:zlib';
import { negotiate } from '@fastify/accept-negotiator';
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

/** Returns the encoding for an answer; undefined for one that is sent as it is. Caches are told that it depends. */
export function negotiateEncoding(
  request: FastifyRequest,
  reply: FastifyReply,
  payload: string,
): AnswerEncoding | undefined {
  if (payload.length < COMPRESSED_CHARACTERS_MIN || reply.hasHeader('content-encoding')) {
    return undefined;
  }
  const varies = reply.getHeader('vary');
  reply.header('vary', varies === undefined ? 'accept-encoding' : `${varies}, accept-encoding`);
  return negotiate(request.headers['accept-encoding'] ?? '', ENCODINGS) ?? undefined;
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
