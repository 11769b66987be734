import type { TypedDocumentString } from './generated/graphql.js';

/** What a request says beside who sends it; the body over HTTP, the payload of `subscribe`. */
export interface OperationPayload {
  readonly query?: string;
  readonly documentId?: string;
  readonly variables: Record<string, unknown>;
}

/** @param isTrusted whether the server knows the document by its id */
export function payloadOf<Variables extends Record<string, unknown>>(
  document: TypedDocumentString<unknown, Variables>,
  variables: Variables,
  isTrusted: boolean,
): OperationPayload {
  return isTrusted
    ? { documentId: String(document.__meta__?.hash), variables }
    : { query: document.toString(), variables };
}
