import type { TypedDocumentString } from './generated/graphql.js';

/** The content of a request without its credential: the body over HTTP, or the payload of `subscribe`. */
export interface OperationPayload {
  readonly query?: string;
  readonly documentId?: string;
  readonly variables: Record<string, unknown>;
}

/** @param isTrusted tells whether the server knows the document by its id */
export function payloadOf<Variables extends Record<string, unknown>>(
  document: TypedDocumentString<unknown, Variables>,
  variables: Variables,
  isTrusted: boolean,
): OperationPayload {
  return isTrusted
    ? { documentId: String(document.__meta__?.hash), variables }
    : { query: document.toString(), variables };
}
