import { readFileSync } from 'node:fs';
import { buildSchema, type GraphQLArgument, isInputObjectType, isObjectType } from 'graphql';
import { expect, test } from 'vitest';

const schema = buildSchema(readFileSync(new URL('./schema.graphql', import.meta.url), 'utf8'));
const types = Object.values(schema.getTypeMap()).filter(({ name }) => !name.startsWith('__'));
const ROOTS = ['Query', 'Mutation', 'Subscription'];

/** All parts of the schema that a client selects or sends, by name. */
const parts = types.flatMap((type) => {
  if (!isInputObjectType(type) && !isObjectType(type)) return [];
  return Object.values(type.getFields()).flatMap((field) => {
    const name = `${type.name}.${field.name}`;
    const isToSay = isInputObjectType(type) || ROOTS.includes(type.name);
    const own = isToSay ? [{ name, description: field.description }] : [];
    const args: readonly GraphQLArgument[] = 'args' in field ? field.args : [];
    return [
      ...own,
      ...args.map((arg) => ({ name: `${name}(${arg.name})`, description: arg.description })),
    ];
  });
});

test('every query, mutation, subscription, argument and input field has a description', () => {
  expect(parts.map(({ name }) => name)).toContain('Subscription.transferPerformed(after)');
  expect(parts.filter(({ description }) => !description).map(({ name }) => name)).toEqual([]);
});

test('every type has a description', () => {
  const silent = types.filter(({ name, description }) => !ROOTS.includes(name) && !description);

  expect(silent.map(({ name }) => name)).toEqual([]);
});

test('every mutation and subscription describes the role that it requires', () => {
  const roots = [schema.getMutationType(), schema.getSubscriptionType()];

  for (const field of roots.flatMap((root) => Object.values(root?.getFields() ?? {}))) {
    expect([field.name, field.description]).toEqual([
      field.name,
      expect.stringMatching(/\b(VIEWER|INITIATOR|OPERATOR)\b/),
    ]);
  }
});
