import { describe, expect, test } from 'vitest';
import { MUTATION_NAMES, REJECTION_CODES } from './kinds.js';
import { MUTATIONS, mayAnswer, rejected } from './mutations.js';

describe('a rejection', () => {
  test('is answered by a mutation that declares its code', () => {
    expect(mayAnswer('openAccount', { code: 'ACCOUNT_BUSY' })).toBe(true);
  });

  test('is not answered by a mutation that does not declare its code', () => {
    expect(mayAnswer('createApiKey', { code: 'ACCOUNT_BUSY' })).toBe(false);
  });

  test('with a code that its mutation does not declare does not compile', () => {
    // @ts-expect-error createApiKey does not declare ACCOUNT_BUSY
    const error = rejected('createApiKey', { code: 'ACCOUNT_BUSY' });

    expect(error.rejection).toEqual({ code: 'ACCOUNT_BUSY' });
  });

  test('without the details of its code does not compile', () => {
    // @ts-expect-error INVALID_INPUT has problems
    const error = rejected('createApiKey', { code: 'INVALID_INPUT' });

    expect(error.rejection).toEqual({ code: 'INVALID_INPUT' });
  });
});

test('every rejection is declared by a mutation', () => {
  const declared = new Set<string>(MUTATION_NAMES.flatMap((name) => MUTATIONS[name].rejections));

  expect(REJECTION_CODES.filter((code) => !declared.has(code))).toEqual([]);
});
