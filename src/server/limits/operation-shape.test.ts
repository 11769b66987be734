import { GraphQLError, getIntrospectionQuery, parse } from 'graphql';
import { describe, expect, test } from 'vitest';
import { exampleOperations } from '../../../web/example-operations.js';
import { isTokenLimitError, judgeShape } from './operation-shape.js';

const LIMITS = {
  operationTokensMax: 5_000,
  operationBytesMax: 131_072,
  operationDepthMax: 12,
  operationAliasesMax: 30,
  operationRootFieldsMax: 20,
};

const codeOf = (text: string) => judgeShape(text, LIMITS)?.code;
const nested = (levels: number) => `${'a{'.repeat(levels - 1)}a${'}'.repeat(levels - 1)}`;
const times = (count: number, of: (index: number) => string) =>
  Array.from({ length: count }, (_, index) => of(index)).join(' ');

describe('the shape of an operation', () => {
  test.each([
    [
      'the introspection that GraphiQL sends',
      getIntrospectionQuery({ inputValueDeprecation: true }),
    ],
    ...exampleOperations(new Date()).map(({ operationName, query }) => [operationName, query]),
    ['the maximum depth', `{${nested(12)}}`],
    ['the maximum number of aliases', `{b{${times(30, (index) => `a${index}:x`)}}}`],
    ['the maximum number of root fields', `{${times(20, (index) => `f${index}`)}}`],
    ['a syntax error, which a later step reports', '{'],
    ['a recursive fragment, which validation refuses', '{...F} fragment F on Query{a{...F}}'],
    ['a missing fragment', '{...F}'],
  ])('is accepted for %s', (_, text) => {
    expect(codeOf(text ?? '')).toBeUndefined();
  });

  test.each([
    ['TOO_MANY_TOKENS', `{${'a '.repeat(5_000)}}`],
    ['TOO_DEEP', `{${nested(13)}}`],
    ['TOO_DEEP', `{a{...F}} fragment F on A{${nested(12)}}`],
    ['TOO_DEEP', `{a{...on A{${nested(12)}}}}`],
    ['TOO_DEEP', `query A{a} query B{${nested(13)}}`],
    ['TOO_DEEP', `{a(b:${'['.repeat(2_400)}${']'.repeat(2_400)})}`],
    // The same fragment, used first where it is shallow.
    ['TOO_DEEP', `{...F a{a{a{...F}}}} fragment F on A{${nested(10)}}`],
    ['TOO_MANY_ALIASES', `{b{${times(31, (index) => `a${index}:x`)}}}`],
    [
      'TOO_MANY_ALIASES',
      `{b{...F} c{...F}} fragment F on A{${times(16, (index) => `a${index}:x`)}}`,
    ],
    ['TOO_MANY_ROOT_FIELDS', `{${times(21, (index) => `f${index}`)}}`],
    [
      'TOO_MANY_ROOT_FIELDS',
      `{...F ...F} fragment F on Query{${times(11, (index) => `f${index}`)}}`,
    ],
    ['TOO_MANY_DIRECTIVES', `{a ${'@a '.repeat(101)}}`],
    ['TOO_MANY_SELECTIONS', `{b{${'a '.repeat(1_001)}}}`],
  ])('is refused as %s', (code, text) => {
    expect(codeOf(text)).toBe(code);
  });

  test('is computed in linear time if fragments double at each level', () => {
    const chain = times(
      400,
      (index) => `fragment F${index} on A{...F${index + 1} ...F${index + 1}}`,
    );

    // With exponential time the test would not end.
    expect(codeOf(`{...F0} ${chain} fragment F400 on A{a}`)).toBe('TOO_MANY_ROOT_FIELDS');
  });

  test('is refused with the limit and the requested number', () => {
    expect(judgeShape(`{${nested(13)}}`, LIMITS)).toMatchObject({ limit: 12, requested: 13 });
  });
});

describe('the token limit error of graphql-js', () => {
  const errorOf = (text: string) => {
    try {
      parse(text, { maxTokens: LIMITS.operationTokensMax });
    } catch (error) {
      if (error instanceof GraphQLError) return error;
    }
    throw new Error('graphql-js accepts the text');
  };

  test('is recognised by its message and answered as TOO_MANY_TOKENS', () => {
    const text = `{${'a '.repeat(LIMITS.operationTokensMax)}}`;

    expect(isTokenLimitError(errorOf(text))).toBe(true);
    expect(judgeShape(text, LIMITS)).toMatchObject({
      code: 'TOO_MANY_TOKENS',
      limit: LIMITS.operationTokensMax,
    });
  });

  test('differs from a syntax error', () => {
    expect(isTokenLimitError(errorOf('{'))).toBe(false);
  });
});

test.each([
  ['in one set', (count: number) => `{ ${'a { b } '.repeat(count)} }`],
  ['by an alias', (count: number) => `{ a ${'a: b '.repeat(count - 1)} }`],
  [
    'by fragments',
    (count: number) =>
      `{ ...F ...G } fragment F on Q { ${'a '.repeat(count - 1)} } fragment G on Q { a }`,
  ],
  ['by spreads', (count: number) => `{ x { ${'...F '.repeat(count)} } } fragment F on Q { a }`],
  ['within another', (count: number) => `{ x { y { ${'a '.repeat(count)} } } }`],
])('one name may be selected 50 times at most: %s', (_, write) => {
  const roomy = { ...LIMITS, operationRootFieldsMax: 1_000, operationAliasesMax: 1_000 };
  expect(judgeShape(write(50), roomy)).toBeUndefined();
  expect(judgeShape(write(51), roomy)?.code).toBe('TOO_MANY_SELECTIONS');
});
