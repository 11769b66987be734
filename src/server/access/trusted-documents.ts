/**
 * Trusted documents by id. The operator provides the manifest that @graphql-codegen/client-preset writes
 * (persisted-documents.json, id → text). A request names a document by `documentId`, as in the GraphQL over HTTP draft
 * on persisted documents, or by Apollo's `extensions.persistedQuery.sha256Hash`.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { ExplainedError } from '../../infrastructure/observability/explained-error.js';
import type { Logger } from '../../infrastructure/observability/logger.js';
import type { ErrorResponse } from '../error-response.js';

/**
 * The mode of trust. off: ids are ignored; log: untrusted documents run, and their hash is logged; only: untrusted
 * documents are refused.
 */
export type TrustMode = 'off' | 'log' | 'only';

export interface TrustSettings {
  readonly trustedDocuments: TrustMode;
  readonly trustedDocumentsFile?: string | undefined;
}

/** The raw document request of a client. Nothing in it is validated yet. */
export interface DocumentRequest {
  readonly query?: unknown;
  readonly documentId?: unknown;
  readonly extensions?: unknown;
}

/** Limits the remembered hashes, each of which is logged once. A hash that was evicted is logged again. */
const LOGGED_MAX = 1_000;

const manifest = z.record(z.string().min(1), z.string().min(1));

const persistedQuery = z.object({
  persistedQuery: z.union([z.string(), z.object({ sha256Hash: z.string() })]),
});

export class TrustedDocuments {
  readonly #byId: ReadonlyMap<string, string>;
  readonly #texts: ReadonlySet<string>;
  readonly #logged = new LRUCache<string, true>({ max: LOGGED_MAX });

  constructor(
    readonly mode: TrustMode,
    documents: Readonly<Record<string, string>>,
    readonly logger: Logger,
  ) {
    const entries = Object.entries(documents).map(([id, text]) => [bare(id), text] as const);
    this.#byId = new Map(entries);
    this.#texts = new Set(this.#byId.values());
  }

  /**
   * Returns the text of a request's document. An id is looked up in the manifest.
   * @returns undefined if the request has neither a text nor an id
   */
  textOf(request: DocumentRequest): string | undefined | ErrorResponse {
    const text =
      typeof request.query === 'string' && request.query !== '' ? request.query : undefined;
    if (this.mode === 'off') return text;
    const id = idOf(request);
    const known = id === undefined ? undefined : this.#byId.get(id);
    if (known !== undefined) return text === undefined || text === known ? known : CONFLICT;
    if (text === undefined) return id === undefined ? undefined : NOT_FOUND;
    if (this.#texts.has(text)) return text;
    if (this.mode === 'only') return ONLY;
    this.#log(text);
    return text;
  }

  /** Logs an untrusted document once. The log has only its hash, because the text may contain private values. */
  #log(text: string): void {
    const sha256 = createHash('sha256').update(text).digest('hex');
    if (this.#logged.has(sha256)) return;
    this.#logged.set(sha256, true);
    this.logger.warn({ sha256 }, 'Untrusted document received');
  }
}

const CONFLICT: ErrorResponse = {
  code: 'DOCUMENT_CONFLICT',
  message: 'The id and the text of the document do not match: send only one of them.',
};

const NOT_FOUND: ErrorResponse = {
  code: 'PERSISTED_QUERY_NOT_FOUND',
  message: 'No trusted document has this id.',
};

const ONLY: ErrorResponse = {
  code: 'PERSISTED_QUERY_ONLY',
  message: 'This server runs trusted documents only: send the id of one, or its exact text.',
};

function idOf({ documentId, extensions }: DocumentRequest): string | undefined {
  const given = typeof documentId === 'string' ? documentId : hashOf(extensions);
  return given === undefined ? undefined : bare(given);
}

/**
 * Returns a hash without its prefix. The draft and the manifest prefix the hash with its kind; Apollo's clients do not.
 */
function bare(id: string): string {
  return id.replace(/^sha256:/, '');
}

function hashOf(extensions: unknown): string | undefined {
  const given = persistedQuery.safeParse(extensions).data?.persistedQuery;
  return typeof given === 'object' ? given.sha256Hash : given;
}

/**
 * Reads the manifest.
 * @throws ExplainedError if the file cannot be read, or is not a manifest
 */
export async function loadTrustedDocuments(
  { trustedDocuments: mode, trustedDocumentsFile: file }: TrustSettings,
  logger: Logger,
): Promise<TrustedDocuments> {
  if (mode === 'off' || file === undefined) return new TrustedDocuments('off', {}, logger);
  try {
    const documents = manifest.parse(JSON.parse(await readFile(file, 'utf8')));
    return new TrustedDocuments(mode, documents, logger);
  } catch (error) {
    const reason =
      error instanceof z.ZodError ? 'must be a JSON object that maps ids to texts' : String(error);
    throw new ExplainedError(`TRUSTED_DOCUMENTS_FILE, ${file}: ${reason}`, { cause: error });
  }
}
