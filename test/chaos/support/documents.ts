/** Random GraphQL documents and variables. The schema allows most of them; some only resemble valid ones. */
import fc from 'fast-check';
import {
  type GraphQLInputType,
  type GraphQLNamedType,
  type GraphQLObjectType,
  type GraphQLSchema,
  getNamedType,
  getNullableType,
  isAbstractType,
  isCompositeType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isScalarType,
} from 'graphql';

export interface RandomDocument {
  readonly query: string;
  readonly variables: Record<string, unknown>;
  readonly operationName?: string;
}

const DEPTH_MAX = 6;
const FIELDS_MAX = 40;

/** Values that no type expects and that break naive code. */
const unexpectedValues = fc.oneof(
  fc.constantFrom<unknown>(null, true, '', ' ', '\u0000', '\ud800', '-0', '1e309', '__proto__', -1),
  fc.constantFrom<unknown>(0, 2 ** 31, -(2 ** 31), 2 ** 53, 1e300, 0.1, [], {}, [[]], [null]),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ minLength: 1_000, maxLength: 3_000 }),
  fc.jsonValue({ maxDepth: 2 }),
);

/**
 * Returns random documents.
 * @param schema the schema that the documents are for
 * @param plausible texts with a meaning for the server: IBANs, ids, cursors
 * @param kinds kinds of operations
 * @param pageSizes sizes of most pages; they are small, because nested pages multiply
 */
export function documents(
  schema: GraphQLSchema,
  plausible: readonly string[],
  kinds: readonly ('query' | 'mutation' | 'subscription')[],
  pageSizes: readonly string[] = ['1', '2', '3', 'null'],
): fc.Arbitrary<RandomDocument> {
  return fc
    .gen()
    .map((gen) =>
      new DocumentWriter(schema, plausible, pageSizes, gen).write(gen(fc.constantFrom, ...kinds)),
    );
}

/** fast-check prefers small numbers, which here would make every rare case frequent. */
const evenly = (max: number) => fc.noBias(fc.nat({ max }));

class DocumentWriter {
  readonly #variables: Record<string, unknown> = {};
  readonly #declarations: string[] = [];
  readonly #fragments: string[] = [];
  #fieldsLeft = FIELDS_MAX;

  constructor(
    private readonly schema: GraphQLSchema,
    private readonly plausible: readonly string[],
    private readonly pageSizes: readonly string[],
    private readonly gen: fc.GeneratorValue,
  ) {}

  write(kind: 'query' | 'mutation' | 'subscription'): RandomDocument {
    const root = {
      query: this.schema.getQueryType(),
      mutation: this.schema.getMutationType(),
      subscription: this.schema.getSubscriptionType(),
    }[kind];
    if (!root) throw new Error(`There is no ${kind}`);
    // A valid subscription has exactly one field.
    const body =
      kind === 'subscription' && !this.#oneIn(10)
        ? `{ ${this.#fieldsOf(root, 0, 1)} }`
        : this.#selection(root, 0);
    const declared = this.#declarations.length > 0 ? `(${this.#declarations.join(', ')})` : '';
    const text = `${kind} Fuzz${declared} ${body}\n${this.#fragments.join('\n')}`;
    const operationName = this.#oneIn(8) ? this.#pick(['Fuzz', 'Other', '', '\u0000']) : undefined;
    return {
      query: this.#oneIn(10) ? this.#corrupt(text) : text,
      variables: this.#variables,
      ...(operationName !== undefined && { operationName }),
    };
  }

  #below(bound: number): number {
    return this.gen(evenly, bound - 1);
  }

  #oneIn(count: number): boolean {
    return this.#below(count) === 0;
  }

  #pick<Item>(items: readonly Item[]): Item {
    const item = items[this.#below(items.length)];
    if (item === undefined) throw new Error('There is nothing to pick');
    return item;
  }

  /** Inserts a token, or removes some characters. */
  #corrupt(text: string): string {
    const at = this.#below(text.length);
    return this.#oneIn(2)
      ? text.slice(0, at) +
          this.#pick(['{', '}', '(', '"', '$', '@', '...', '\u0000', '"""']) +
          text.slice(at)
      : text.slice(0, at) + text.slice(at + 1 + this.#below(10));
  }

  #selection(type: GraphQLNamedType, depth: number): string {
    const parts = ['__typename'];
    if (isObjectType(type)) for (const part of this.#fieldsOf(type, depth)) parts.push(part);
    if (isAbstractType(type)) {
      for (const member of this.schema.getPossibleTypes(type)) {
        if (this.#oneIn(3)) continue;
        parts.push(`... on ${member.name} ${this.#selection(member, depth + 1)}`);
      }
    }
    if (isObjectType(type) && this.#oneIn(10)) parts.push(this.#fragment(type, depth));
    return `{ ${parts.join(' ')} }`;
  }

  #fieldsOf(type: GraphQLObjectType, depth: number, count = 1 + this.#below(4)): string[] {
    const fields = Object.values(type.getFields());
    const parts: string[] = [];
    for (let left = count; left > 0 && this.#fieldsLeft > 0; left -= 1) {
      const field = this.#pick(fields);
      const named = getNamedType(field.type);
      if (isCompositeType(named) && depth >= DEPTH_MAX) continue;
      this.#fieldsLeft -= 1;
      const fieldArguments = field.args.flatMap((argument) => {
        const isLeftOut = !isNonNullType(argument.type) && this.#oneIn(3);
        // Some pages are larger than the limit.
        const value =
          /^(first|last)$/.test(argument.name) && !this.#oneIn(10)
            ? this.#pick(this.pageSizes)
            : isLeftOut
              ? undefined
              : this.#value(argument.type);
        return value === undefined ? [] : [`${argument.name}: ${value}`];
      });
      const alias = `f${this.#fieldsLeft}: `;
      const argumentList = fieldArguments.length > 0 ? `(${fieldArguments.join(', ')})` : '';
      const inner = isCompositeType(named) ? ` ${this.#selection(named, depth + 1)}` : '';
      const directive = this.#directive();
      parts.push(`${this.#oneIn(20) ? '' : alias}${field.name}${argumentList}${directive}${inner}`);
    }
    return parts;
  }

  #directive(): string {
    if (this.#oneIn(300)) return ' @unheardOf';
    return this.#oneIn(15) ? this.#pick([' @skip(if: true)', ' @include(if: true)']) : '';
  }

  /** Adds a fragment, which sometimes contains itself. */
  #fragment(type: GraphQLObjectType, depth: number): string {
    const name = `F${this.#fragments.length}`;
    this.#fragments.push('');
    const inner = this.#oneIn(20)
      ? `{ ...${name} }`
      : this.#selection(type, Math.max(depth, DEPTH_MAX - 1));
    this.#fragments[Number(name.slice(1))] = `fragment ${name} on ${type.name} ${inner}`;
    return `...${name}`;
  }

  /** Returns a value of a type, as a literal or as a variable. */
  #value(type: GraphQLInputType): string {
    const value = this.#oneIn(60) ? this.gen(() => unexpectedValues) : this.#validValue(type, 0);
    if (this.#oneIn(2)) return literalOf(value, type);
    const name = `v${this.#declarations.length}`;
    this.#declarations.push(`$${name}: ${type}`);
    this.#variables[name] = value;
    return `$${name}`;
  }

  #validValue(type: GraphQLInputType, depth: number): unknown {
    if (!isNonNullType(type) && this.#oneIn(6)) return null;
    if (this.#oneIn(80)) return this.gen(() => unexpectedValues);
    const inner = getNullableType(type);
    if (isListType(inner)) {
      return Array.from({ length: this.#below(4) }, () =>
        this.#validValue(inner.ofType, depth + 1),
      );
    }
    if (isEnumType(inner)) return this.#pick(inner.getValues()).name;
    if (isInputObjectType(inner)) {
      return Object.fromEntries(
        Object.values(inner.getFields())
          .filter(({ type: field }) => isNonNullType(field) || this.#oneIn(2))
          .map(({ name, type: field }) => [name, this.#validValue(field, depth + 1)]),
      );
    }
    return isScalarType(inner) ? this.#scalar(inner.name) : null;
  }

  #scalar(name: string): unknown {
    if (name === 'Int') return this.#below(200) - 50;
    if (name === 'Boolean') return this.#oneIn(2);
    if (name === 'Date')
      return this.#pick(['2026-11-25', '0000-01-01', '9999-12-31', '2026-02-30']);
    if (name === 'DateTime') {
      return this.#pick([
        '2026-11-25T00:00:00.000Z',
        '0001-01-01T00:00:00Z',
        '9999-12-31T23:59:59Z',
      ]);
    }
    return this.#oneIn(3)
      ? this.gen(fc.string, { unit: 'grapheme', maxLength: 20 })
      : this.#pick([
          ...this.plausible,
          '1.00',
          '0.01',
          '99999999999999999999',
          'EUR',
          'JPY',
          'text',
        ]);
  }
}

/** Returns a literal in GraphQL's notation, which does not quote names of fields and enum values. */
function literalOf(value: unknown, type: GraphQLInputType): string {
  const named = getNullableType(type);
  if (isEnumType(named) && typeof value === 'string') return value;
  if (Array.isArray(value)) {
    const inner = isListType(named) ? named.ofType : type;
    return `[${value.map((each) => literalOf(each, inner)).join(', ')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    const fields = isInputObjectType(named) ? named.getFields() : {};
    const parts = Object.entries(value).map(
      ([name, each]) => `${name}: ${literalOf(each, fields[name]?.type ?? type)}`,
    );
    return `{ ${parts.join(', ')} }`;
  }
  return JSON.stringify(value) ?? 'null';
}
