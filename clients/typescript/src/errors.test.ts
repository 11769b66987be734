import { describe, expect, test } from 'vitest';
import { errorOf, VirementError } from './errors.js';

describe('a server error', () => {
  test('has a code and a retry delay', () => {
    const extensions = { code: 'RATE_LIMITED', retryAfterSeconds: 3, requestId: 'r' };

    expect(errorOf({ message: 'Too fast.', extensions })).toMatchObject({
      code: 'RATE_LIMITED',
      message: 'Too fast.',
      retryAfterMs: 3_000,
      requestId: 'r',
      isRetryable: true,
      isOutcomeUnknown: false,
    });
  });

  test('about a cursor that the ledger does not have says to start afresh', () => {
    const error = errorOf({ message: 'Unknown.', extensions: { code: 'UNKNOWN_CURSOR' } });

    expect(error).toMatchObject({ code: 'UNKNOWN_CURSOR', isRetryable: false });
    expect(error.message).toMatch(/^Unknown\. This cursor cannot be resumed\. Discard it/);
  });

  test.each([
    ['TIMEOUT', true, true],
    ['INTERNAL_SERVER_ERROR', true, true],
    ['OVERLOADED', true, false],
    ['UNAVAILABLE', true, false],
    ['OUTCOME_UNKNOWN', true, true],
    ['FORBIDDEN', false, false],
    ['GRAPHQL_VALIDATION_FAILED', false, false],
    ['A_CODE_OF_LATER', false, false],
  ])(
    '%s: is retryable %s, leaves the outcome unknown %s',
    (code, isRetryable, isOutcomeUnknown) => {
      expect(errorOf({ message: '', extensions: { code } })).toMatchObject({
        isRetryable,
        isOutcomeUnknown,
      });
    },
  );
});

test.each([
  [502, true, true],
  [429, true, false],
  [404, false, false],
])(
  'HTTP %i from a proxy: is retryable %s, leaves the outcome unknown %s',
  (status, ...expected) => {
    const { isRetryable, isOutcomeUnknown } = new VirementError('HTTP_ERROR', '', { status });

    expect([isRetryable, isOutcomeUnknown]).toEqual(expected);
  },
);
