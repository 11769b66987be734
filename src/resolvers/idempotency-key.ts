import {
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLIncludeDirective,
  GraphQLSkipDirective,
  getDirectiveValues,
  Kind,
  type OperationDefinitionNode,
  OperationTypeNode,
  type SelectionNode,
  type SelectionSetNode,
  valueFromASTUntyped,
} from 'graphql';
import { BadUserInputError } from '../domain/errors.js';
import type { RequestContext } from './context.js';

/**
 * Returns the idempotency key of a mutation, from its input or from the HTTP header. Both have the same meaning.
 * @throws BadUserInputError if the two differ, or if the header is malformed
 */
export function idempotencyKeyOf(
  input: { readonly idempotencyKey?: string | null },
  context: RequestContext,
): string | undefined {
  const inInput = input.idempotencyKey ?? undefined;
  const [header, ...others] = context.idempotencyKeyHeaders;
  if (header === undefined) return inInput;
  if (others.length > 0)
    throw new BadUserInputError('There are several Idempotency-Key headers: send one.');
  const inHeader = parseHeader(header);
  if (inInput !== undefined && inInput !== inHeader) {
    throw new BadUserInputError(
      'The Idempotency-Key header and the key in the input differ: send one of them, or the same key in both.',
    );
  }
  return inHeader;
}

/**
 * Reads the header: an RFC 8941 String as in draft-ietf-httpapi-idempotency-key-header, or the bare key that most
 * clients send.
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

/** An operation just before it is executed. */
export interface ResolvedOperation {
  readonly operation: OperationDefinitionNode;
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>;
  readonly variables: Readonly<Record<string, unknown>>;
}

/**
 * Asserts that a header is the key of one mutation. Call this before anything is executed.
 * @throws BadUserInputError if an operation with a header has several mutations
 */
export function assertHeaderHasOneMutation(
  resolved: ResolvedOperation,
  context: Pick<RequestContext, 'idempotencyKeyHeaders'>,
): void {
  const { operation } = resolved;
  if (context.idempotencyKeyHeaders.length === 0) return;
  if (operation.operation !== OperationTypeNode.MUTATION) return;
  const fields = rootFieldsOf(operation.selectionSet, resolved);
  if (new Set(fields.map(({ alias, name }) => (alias ?? name).value)).size <= 1) return;
  throw new BadUserInputError(
    'An Idempotency-Key header applies to one mutation only: give each of several mutations a key in its input.',
  );
}

/** Mutations that an idempotency key makes repeatable. */
const KEYED: readonly string[] = ['performBulkTransfer', 'creditAccount'];

/** Mutations whose second call changes nothing: the account exists, the key is revoked, or the message is due. */
const REPEATABLE: readonly string[] = ['openAccount', 'revokeApiKey', 'retryOutboxMessage'];

/**
 * Tells whether a client may repeat a mutation that may have been done. Every field of the operation must be
 * repeatable.
 */
export function isRepeatable(
  resolved: ResolvedOperation,
  context: Pick<RequestContext, 'idempotencyKeyHeaders'>,
): boolean {
  const hasHeader = context.idempotencyKeyHeaders.length > 0;
  return rootFieldsOf(resolved.operation.selectionSet, resolved).every((field) => {
    if (REPEATABLE.includes(field.name.value)) return true;
    return KEYED.includes(field.name.value) && (hasHeader || hasKey(field, resolved.variables));
  });
}

/** Tells whether a mutation has a key. A key in the default value of a variable is not found. */
function hasKey(
  { arguments: given = [] }: FieldNode,
  variables: Readonly<Record<string, unknown>>,
): boolean {
  const input = given.find(({ name }) => name.value === 'input');
  const value: unknown = input && valueFromASTUntyped(input.value, variables);
  return (
    typeof value === 'object' &&
    value !== null &&
    'idempotencyKey' in value &&
    typeof value.idempotencyKey === 'string'
  );
}

/** Returns the root fields of an operation, fragments included. */
function rootFieldsOf(
  { selections }: SelectionSetNode,
  resolved: ResolvedOperation,
  fields: FieldNode[] = [],
): readonly FieldNode[] {
  for (const selection of selections) {
    if (!isIncluded(selection, resolved.variables)) continue;
    if (selection.kind === Kind.FIELD) {
      if (selection.name.value !== '__typename') fields.push(selection);
    } else {
      const fragment =
        selection.kind === Kind.INLINE_FRAGMENT
          ? selection
          : resolved.fragments.get(selection.name.value);
      if (fragment) rootFieldsOf(fragment.selectionSet, resolved, fields);
    }
  }
  return fields;
}

function isIncluded(
  selection: SelectionNode,
  variables: Readonly<Record<string, unknown>>,
): boolean {
  const skip = getDirectiveValues(GraphQLSkipDirective, selection, variables);
  const include = getDirectiveValues(GraphQLIncludeDirective, selection, variables);
  return skip?.if !== true && include?.if !== false;
}
