/**
 * Limits the shape of a document before it is validated. Some rules of validation take far longer than linear time for
 * a document that was designed for it.
 *
 * All counts are those of the execution, with fragments expanded. Each selection set is counted once and cached, so
 * that nested fragments, which double at each level, take linear time.
 */
import {
  BREAK,
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLError,
  Kind,
  parse,
  type SelectionNode,
  type SelectionSetNode,
  visit,
} from 'graphql';
import type { ErrorResponse, ErrorResponseCode } from '../error-response.js';

export interface ShapeLimits {
  /** Limits the bytes of a document's text. */
  readonly operationBytesMax: number;
  /** Limits the lexical tokens of a document. */
  readonly operationTokensMax: number;
  /** Limits the nesting of fields. */
  readonly operationDepthMax: number;
  readonly operationAliasesMax: number;
  readonly operationRootFieldsMax: number;
}

/**
 * The number of tokens for each allowed selection. Validation compares selections with each other, so there may be
 * fewer of them than tokens.
 */
const TOKENS_PER_SELECTION = 5;

/**
 * Limits the selections of one set that answer under one name, with fragments expanded. Validation compares each pair
 * of them before the operation is charged.
 */
const SAME_NAME_MAX = 50;

/** Limits the directives. The schema has only @skip and @include, each at most once on a field. */
const DIRECTIVES_MAX = 100;

/** Limits the characters of a name or an alias. The answer repeats an alias for each node. */
const NAME_CHARACTERS_MAX = 128;

/** Matches characters that could form a name over the limit. They may also be part of a string. */
const LONG_NAME = new RegExp(`[_0-9A-Za-z]{${NAME_CHARACTERS_MAX + 1}}`);

/** The counts of a selection set, with fragments expanded. */
interface Shape {
  /** Levels of fields. */
  readonly depth: number;
  /** Fields of the set itself. */
  readonly fields: number;
  readonly selections: number;
  readonly aliases: number;
  readonly directives: number;
  /** The largest number of selections that answer under one name, in this set or in a set within it. */
  readonly sameName: number;
  /** The number of selections of the set itself that answer under each name. */
  readonly names: ReadonlyMap<string, number>;
}

const NO_NAMES: ReadonlyMap<string, number> = new Map();

const NOTHING: Shape = {
  depth: 0,
  fields: 0,
  selections: 0,
  aliases: 0,
  directives: 0,
  sameName: 0,
  names: NO_NAMES,
};

/** Returns the fragments of a document, by name. */
export function fragmentsOf(document: DocumentNode): ReadonlyMap<string, FragmentDefinitionNode> {
  return new Map(
    document.definitions
      .filter((definition) => definition.kind === Kind.FRAGMENT_DEFINITION)
      .map((fragment) => [fragment.name.value, fragment]),
  );
}

/**
 * Checks the shape of a text before any other step.
 * @returns the error response; undefined if the text is within the limits, or is not GraphQL, which later steps report
 */
export function judgeShape(text: string, limits: ShapeLimits): ErrorResponse | undefined {
  const bytes = Buffer.byteLength(text);
  const limit = limits.operationBytesMax;
  if (bytes > limit) {
    const message = `The text of an operation may have at most ${limit} bytes: send values as variables.`;
    return { code: 'OPERATION_TOO_LARGE', message, limit, requested: bytes };
  }
  try {
    const document = parse(text, { maxTokens: limits.operationTokensMax, noLocation: true });
    if (LONG_NAME.test(text) && hasLongName(document)) return NAME_TOO_LONG;
    return judgeDocument(document, limits);
  } catch (error) {
    // The nesting exceeds the stack.
    if (error instanceof RangeError) return tooDeep(limits.operationDepthMax);
    if (!(error instanceof GraphQLError)) throw error;
    return isTokenLimitError(error)
      ? over('TOO_MANY_TOKENS', 'tokens', limits.operationTokensMax)
      : undefined;
  }
}

/** Tells whether an error is the token limit error of graphql-js, which has no code: only its message identifies it. */
export function isTokenLimitError({ message }: GraphQLError): boolean {
  return message.includes('tokens. Parsing aborted');
}

function hasLongName(document: DocumentNode): boolean {
  let isFound = false;
  visit(document, {
    Name: ({ value }) => {
      isFound ||= value.length > NAME_CHARACTERS_MAX;
      return isFound ? BREAK : undefined;
    },
  });
  return isFound;
}

const NAME_TOO_LONG: ErrorResponse = {
  code: 'NAME_TOO_LONG',
  message: `A name or an alias may have at most ${NAME_CHARACTERS_MAX} characters.`,
  limit: NAME_CHARACTERS_MAX,
};

function judgeDocument(document: DocumentNode, limits: ShapeLimits): ErrorResponse | undefined {
  const shapes = new Shapes(fragmentsOf(document));
  for (const definition of document.definitions) {
    if (definition.kind !== Kind.OPERATION_DEFINITION) continue;
    const response = judgeOperation(shapes.of(definition.selectionSet), limits);
    if (response) return response;
  }
  return undefined;
}

function judgeOperation(shape: Shape, limits: ShapeLimits): ErrorResponse | undefined {
  if (shape.depth > limits.operationDepthMax) return tooDeep(limits.operationDepthMax, shape.depth);
  const counts: readonly [ErrorResponseCode, string, number, number][] = [
    ['TOO_MANY_ALIASES', 'aliases', limits.operationAliasesMax, shape.aliases],
    ['TOO_MANY_ROOT_FIELDS', 'fields at its root', limits.operationRootFieldsMax, shape.fields],
    ['TOO_MANY_DIRECTIVES', 'directives', DIRECTIVES_MAX, shape.directives],
    ['TOO_MANY_SELECTIONS', 'selections with the same name', SAME_NAME_MAX, shape.sameName],
    [
      'TOO_MANY_SELECTIONS',
      'selections',
      Math.ceil(limits.operationTokensMax / TOKENS_PER_SELECTION),
      shape.selections,
    ],
  ];
  for (const [code, what, limit, requested] of counts) {
    if (requested > limit) return over(code, what, limit, requested);
  }
  return undefined;
}

function over(
  code: ErrorResponseCode,
  what: string,
  limit: number,
  requested?: number,
): ErrorResponse {
  const message = `An operation may have at most ${limit} ${what}: split it.`;
  return { code, message, limit, ...(requested !== undefined && { requested }) };
}

function tooDeep(limit: number, requested?: number): ErrorResponse {
  const message = `An operation may have at most ${limit} levels of fields: split it.`;
  return { code: 'TOO_DEEP', message, limit, ...(requested !== undefined && { requested }) };
}

class Shapes {
  readonly #known = new Map<SelectionSetNode, Shape>();

  constructor(readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>) {}

  of(set: SelectionSetNode): Shape {
    const known = this.#known.get(set);
    if (known) return known;
    // This entry ends a fragment that contains itself; validation refuses it.
    this.#known.set(set, NOTHING);
    const parts = set.selections.map((selection) => this.#ofSelection(selection));
    const names = new Map<string, number>();
    for (const part of parts) {
      for (const [name, count] of part.names) names.set(name, (names.get(name) ?? 0) + count);
    }
    const total = parts.reduce(sum, NOTHING);
    const shape = { ...total, names, sameName: Math.max(total.sameName, 0, ...names.values()) };
    this.#known.set(set, shape);
    return shape;
  }

  #ofSelection(selection: SelectionNode): Shape {
    const own = selection.directives?.length ?? 0;
    const inner = this.#innerOf(selection);
    return { ...inner, selections: inner.selections + 1, directives: inner.directives + own };
  }

  #innerOf(selection: SelectionNode): Shape {
    if (selection.kind === Kind.FIELD) return this.#ofField(selection);
    if (selection.kind === Kind.INLINE_FRAGMENT) return this.of(selection.selectionSet);
    const fragment = this.fragments.get(selection.name.value);
    return fragment ? this.of(fragment.selectionSet) : NOTHING;
  }

  #ofField({ name, alias, selectionSet }: FieldNode): Shape {
    const inner = selectionSet ? this.of(selectionSet) : NOTHING;
    // Introspection is nested deeply by nature. Validation limits it where its answer would grow.
    const innerDepth = name.value.startsWith('__') ? 0 : inner.depth;
    return {
      ...inner,
      depth: innerDepth + 1,
      fields: 1,
      aliases: inner.aliases + (alias ? 1 : 0),
      names: new Map([[(alias ?? name).value, 1]]),
    };
  }
}

function sum(one: Shape, other: Shape): Shape {
  return {
    depth: Math.max(one.depth, other.depth),
    fields: one.fields + other.fields,
    selections: one.selections + other.selections,
    aliases: one.aliases + other.aliases,
    directives: one.directives + other.directives,
    sameName: Math.max(one.sameName, other.sameName),
    names: NO_NAMES,
  };
}
