/**
 * Takes the rows of bulks out of the variables before GraphQL coerces them. graphql-js takes 5 ms for 1,000 rows, a fifth
 * of the processor time of their bulk, and cannot be interrupted. A row that consists of the known fields, each with a
 * string, is what graphql-js would return. If every row of a bulk is such a row, graphql-js gets an empty list, and the
 * resolver takes the rows from the context: see resolvers/bulk-input.ts. Any other bulk is left to graphql-js, which
 * reports its faults.
 */
import type { ApolloServerPlugin } from '@apollo/server';
import {
  GraphQLInputObjectType,
  type GraphQLSchema,
  GraphQLString,
  getNullableType,
  isNullableType,
  isRequiredInputField,
  Kind,
  type TypeNode,
} from 'graphql';
import type { BulkRows, RequestContext } from '../resolvers/context.js';

const INPUT = 'PerformBulkTransferInput';
const ROW = 'CreditTransferInput';
/** The field of the input that has the rows. */
const ROWS = 'creditTransfers';

/** Takes the rows of each variable whose type is the input of a bulk, or a list of rows. */
export function bulkRowsPlugin(schema: GraphQLSchema): ApolloServerPlugin<RequestContext> {
  const rowsOf = makeRowsOf(schema);
  const rowsIn = makeRowsIn(schema);
  return {
    requestDidStart: async () => ({
      didResolveOperation: async ({ operation, request, contextValue }) => {
        for (const { variable, type } of operation?.variableDefinitions ?? []) {
          const name = variable.name.value;
          const given = request.variables?.[name];
          const isList = isListOfRows(type);
          if (!isList && typeNameOf(type) !== INPUT) continue;
          const rows = isList ? rowsIn(given) : rowsOf(given);
          if (!rows) continue;
          contextValue.bulkRows.set(name, rows);
          const emptied = isList ? [] : { ...given, [ROWS]: [] };
          request.variables = { ...request.variables, [name]: emptied };
        }
      },
    }),
  };
}

function typeNameOf(type: TypeNode): string | undefined {
  const nullable = type.kind === Kind.NON_NULL_TYPE ? type.type : type;
  return nullable.kind === Kind.NAMED_TYPE ? nullable.name.value : undefined;
}

/** Tells whether a type is a list of rows, none of which is null. */
function isListOfRows(type: TypeNode): boolean {
  const list = type.kind === Kind.NON_NULL_TYPE ? type.type : type;
  return (
    list.kind === Kind.LIST_TYPE &&
    list.type.kind === Kind.NON_NULL_TYPE &&
    typeNameOf(list.type) === ROW
  );
}

/** Returns a function that returns the coerced rows of a list; undefined if graphql-js must coerce them. */
function makeRowsIn(schema: GraphQLSchema): (list: unknown) => BulkRows | undefined {
  const coerceRow = makeCoerce(schema, ROW);
  return (list) => (Array.isArray(list) && list.every(coerceRow) ? list : undefined);
}

/** Returns a function that returns the coerced rows of an input; undefined if graphql-js must coerce them. */
export function makeRowsOf(schema: GraphQLSchema): (input: unknown) => BulkRows | undefined {
  const coerceRow = makeCoerce(schema, ROW);
  // An error of graphql-js quotes the input with its rows.
  const coerceHead = makeCoerce(schema, INPUT, ROWS);
  return (input) => {
    if (!isObject(input)) return undefined;
    const { [ROWS]: rows, ...head } = input;
    if (!Array.isArray(rows) || !coerceHead(head)) return undefined;
    return rows.every(coerceRow) ? rows : undefined;
  };
}

/**
 * Returns a function that coerces an object from JSON in place, by adding the default values. It returns false for an
 * object that graphql-js must coerce.
 * @param except a field that the object does not have
 */
function makeCoerce(
  schema: GraphQLSchema,
  typeName: string,
  except?: string,
): (given: unknown) => boolean {
  const type = schema.getType(typeName);
  if (!(type instanceof GraphQLInputObjectType)) throw new Error(`${typeName} is no input type`);
  const givenFields = Object.values(type.getFields()).filter(({ name }) => name !== except);
  const fields = givenFields.map((field) => ({
    name: field.name,
    defaultValue: field.defaultValue,
    isString: getNullableType(field.type) === GraphQLString,
    isNullable: isNullableType(field.type),
    isRequired: isRequiredInputField(field),
  }));
  return (given) => {
    if (!isObject(given)) return false;
    let known = 0;
    for (const { name, isString, isNullable, isRequired } of fields) {
      const value = given[name];
      if (value === undefined && !isRequired) continue;
      const isCoerced = (isString && typeof value === 'string') || (isNullable && value === null);
      if (!isCoerced) return false;
      known += 1;
    }
    if (Object.keys(given).length !== known) return false;
    for (const { name, defaultValue } of fields) {
      if (defaultValue !== undefined && given[name] === undefined) given[name] = defaultValue;
    }
    return true;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
