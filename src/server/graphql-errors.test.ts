import { expect, test } from 'vitest';
import { makeLogger } from '../infrastructure/observability/logger.js';
import { inRequestScope } from '../infrastructure/observability/request-scope.js';
import { cut, makeFormatError, withoutSuggestion } from './graphql-errors.js';

test.each([
  ['Cannot query field "acount". Did you mean "account"?', 'Cannot query field "acount".'],
  ['A. Did you mean "a" or "b"? B. Did you mean "c"?', 'A. B.'],
  ['Did you mean "a"?', ''],
  ['Did you mean', 'Did you mean'],
  ['No question. Did you mean this', 'No question. Did you mean this'],
  ['Nothing of it?', 'Nothing of it?'],
])('a suggestion is removed: %s', (message, expected) => {
  expect(withoutSuggestion(message)).toBe(expected);
});

test('a suggestion is removed in linear time', () => {
  const hostile = 'Did you mean '.repeat(1_000_000);

  // With quadratic time the test would not end.
  expect(withoutSuggestion(hostile)).toBe(hostile);
  expect(withoutSuggestion(`${hostile}?`)).toBe('');
});

test("a message that echoes a client's text is cut", () => {
  expect(cut('a'.repeat(200))).toBe('a'.repeat(200));
  const long = cut(`start${'\u{1F600}'.repeat(1_000)}end`);
  expect(long.length).toBeLessThanOrEqual(200);
  expect(long).toMatch(/^start.*….*end$/);
  expect(long.isWellFormed()).toBe(true);
});

test('an error outside an operation is logged with the request id that its client gets', () => {
  const log: Record<string, unknown>[] = [];
  const logger = makeLogger('error', { write: (line) => log.push(JSON.parse(line)) });
  const format = makeFormatError({ hasSuggestions: true, logger });
  const formatted = {
    message: 'Invalid string length',
    extensions: { code: 'INTERNAL_SERVER_ERROR' },
  };

  const answered = inRequestScope({ requestId: 'id-1', traceparent: undefined }, () =>
    format(formatted, new RangeError('Invalid string length')),
  );

  expect(answered.extensions).toEqual({ code: 'INTERNAL_SERVER_ERROR', requestId: 'id-1' });
  expect(answered.message).not.toContain('string length');
  expect(log).toMatchObject([
    { level: 50, requestId: 'id-1', err: { message: 'Invalid string length' } },
  ]);
});
