import {
  type FragmentDefinitionNode,
  type GraphQLResolveInfo,
  Kind,
  type SelectionSetNode,
} from 'graphql';
import { BadUserInputError } from '../domain/errors.js';
import type { RequestContext } from './context.js';

/**
 * The idempotency key of a mutation: from its input, or from the HTTP header, which stands for the
 * same. A header belongs to a request with one mutation.
 * @throws BadUserInputError where they differ, the header is malformed, or there are several mutations
 */
export function idempotencyKeyOf(
  input: { readonly idempotencyKey?: string | null },
  context: RequestContext,
  info: GraphQLResolveInfo,
): string | undefined {
  const inInput = input.idempotencyKey ?? undefined;
  const [header, ...others] = context.idempotencyKeyHeaders;
  if (header === undefined) return inInput;
  if (others.length > 0) throw new BadUserInputError('There are several Idempotency-Key headers.');
  if (rootFieldCount(info.operation.selectionSet, info.fragments) > 1) {
    throw new BadUserInputError(
      'An Idempotency-Key header goes with one mutation; give each of several its own key in its input.',
    );
  }
  const inHeader = parseHeader(header);
  if (inInput !== undefined && inInput !== inHeader) {
    throw new BadUserInputError('The Idempotency-Key header and the key in the input differ.');
  }
  return inHeader;
}

/**
 * An RFC 8941 String, as draft-ietf-httpapi-idempotency-key-header has it, or the bare key that
 * most clients send.
 */
function parseHeader(header: string): string {
  if (!header.startsWith('"')) {
    if (header === '') throw new BadUserInputError('The Idempotency-Key header is empty.');
    return header;
  }
  const quoted = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/.exec(header);
  if (!quoted) throw new BadUserInputError('The Idempotency-Key header is not a quoted string.');
  return (quoted[1] ?? '').replace(/\\(["\\])/g, '$1');
}

/** Fields that an operation selects at its root, those in fragments included. */
function rootFieldCount(
  { selections }: SelectionSetNode,
  fragments: Readonly<Record<string, FragmentDefinitionNode>>,
): number {
  let count = 0;
  for (const selection of selections) {
    if (selection.kind === Kind.FIELD) count += selection.name.value === '__typename' ? 0 : 1;
    else if (selection.kind === Kind.INLINE_FRAGMENT) {
      count += rootFieldCount(selection.selectionSet, fragments);
    } else {
      const fragment = fragments[selection.name.value];
      if (fragment) count += rootFieldCount(fragment.selectionSet, fragments);
    }
  }
  return count;
}
