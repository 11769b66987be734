import { readFileSync } from 'node:fs';
import { buildSchema, getNamedType, isInterfaceType, isUnionType } from 'graphql';
import { expect, test } from 'vitest';
import { MUTATION_NAMES, type MutationName, REJECTION_CODES } from '../domain/kinds.js';
import { MUTATIONS, rolesFor } from '../domain/mutations.js';

const schema = buildSchema(readFileSync(new URL('./schema.graphql', import.meta.url), 'utf8'));
const mutations = schema.getMutationType()?.getFields() ?? {};
const userError = schema.getType('UserError');

/** Returns the type name of a code: ACCOUNT_BUSY is AccountBusy. */
const typeOf = (code: string) =>
  code.toLowerCase().replace(/(?:^|_)[a-z]/g, (start) => start.replace('_', '').toUpperCase());

/** Returns the names of the user errors in a mutation's union. */
function userErrorsOf(name: MutationName): string[] {
  const answer = mutations[name] && getNamedType(mutations[name].type);
  if (!isUnionType(answer) || !isInterfaceType(userError)) return [];
  return answer
    .getTypes()
    .filter((type) => schema.isSubType(userError, type))
    .map((type) => type.name);
}

test('the mutations of the schema are those of the domain', () => {
  expect(Object.keys(mutations).sort()).toEqual([...MUTATION_NAMES].sort());
});

test.each(MUTATION_NAMES)('%s may answer the user errors of its union, and no other', (name) => {
  expect(userErrorsOf(name).sort()).toEqual(MUTATIONS[name].rejections.map(typeOf).sort());
});

test('the types of user errors are those of the rejection codes', () => {
  const types = isInterfaceType(userError) ? schema.getPossibleTypes(userError) : [];

  expect(types.map(({ name }) => name).sort()).toEqual(REJECTION_CODES.map(typeOf).sort());
});

test.each(MUTATION_NAMES)('the description of %s names the role that it requires', (name) => {
  expect(mutations[name]?.description).toContain(
    `Requires the role ${rolesFor(name)
      .join(', ')
      .replace(/, ([a-z]+)$/, ' or $1')
      .toUpperCase()
      .replace(' OR ', ' or ')}`,
  );
});
