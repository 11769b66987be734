import { GraphQLError, GraphQLScalarType, Kind, print, type ValueNode } from 'graphql';
import { GraphQLDateTimeISO, GraphQLLocalDate } from 'graphql-scalars';

/** A time by RFC 3339, in UTC, with milliseconds. */
export const DateTime = new GraphQLScalarType({
  ...GraphQLDateTimeISO.toConfig(),
  name: 'DateTime',
  description: 'A moment, RFC 3339 in UTC with milliseconds: 2026-11-23T09:30:00.000Z.',
  serialize: (value) => (value instanceof Date ? value.toISOString() : refuse('DateTime', value)),
});

/** A calendar day. */
export const CalendarDate = new GraphQLScalarType({
  ...GraphQLLocalDate.toConfig(),
  name: 'Date',
  description: 'A day: YYYY-MM-DD.',
});

export const Decimal = textScalar(
  'Decimal',
  'An amount in major units, with exactly the fraction digits of its currency: "14.50".',
);

export const Iban = textScalar('IBAN', 'An IBAN in its electronic form: no spaces, upper case.');

export const Bic = textScalar('BIC', 'A BIC (ISO 9362): 8 or 11 characters, upper case.');

export const Currency = textScalar('Currency', 'An ISO 4217 currency code: EUR.');

export const Cursor = textScalar(
  'Cursor',
  'A position in a list. Opaque: take it from an edge or from pageInfo, and send it back unchanged.',
);

export const Int64 = new GraphQLScalarType({
  name: 'Int64',
  description: 'A signed 64-bit integer as a string of digits: minor units, sequences.',
  serialize: (value) => (typeof value === 'bigint' ? value.toString() : refuse('Int64', value)),
});

/**
 * Makes a scalar for strings with a meaning of their own. As an input it accepts any string; the code that uses the
 * string reports problems.
 */
function textScalar(name: string, description: string): GraphQLScalarType<string, string> {
  const asText = (value: unknown) => (typeof value === 'string' ? value : refuse(name, value));
  return new GraphQLScalarType({
    name,
    description,
    serialize: asText,
    parseValue: asText,
    parseLiteral: (node) =>
      node.kind === Kind.STRING ? node.value : refuse(name, print(node), node),
  });
}

function refuse(name: string, value: unknown, node?: ValueNode): never {
  const message = `${name} cannot represent ${JSON.stringify(String(value))}`;
  throw new GraphQLError(message, node && { nodes: node });
}
