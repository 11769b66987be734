import { expect, test } from 'vitest';
import { isCertainlyRolledBack, unavailabilityOf } from './unavailability.js';

const errorOf = (properties: object, message = 'failed') =>
  Object.assign(new Error(message), properties);

test.each([
  ['an interrupted query', { errno: 1_317 }, 'STATEMENT_FAILED'],
  ['a full disk', { errno: 1_021 }, 'DATABASE_FULL'],
  ['a full table', { errno: 1_114 }, 'DATABASE_FULL'],
  ['no memory', { errno: 1_037 }, 'DATABASE_FULL'],
  ['no memory to sort in', { errno: 1_038 }, 'DATABASE_FULL'],
  ['no resources', { errno: 1_041 }, 'DATABASE_FULL'],
  ['no thread', { errno: 1_135 }, 'DATABASE_FULL'],
  ['SQLITE_FULL', { errcode: 13 }, 'DATABASE_FULL'],
  ['SQLITE_NOMEM', { errcode: 7 }, 'DATABASE_FULL'],
  ['SQLITE_IOERR', { errcode: 10 }, 'STATEMENT_FAILED'],
  ['SQLITE_IOERR_FSYNC', { errcode: 1_034 }, 'STATEMENT_FAILED'],
  ['a read-only server', { errno: 1_290 }, 'DATABASE_READ_ONLY'],
  ['a lost connection', { code: 'ECONNRESET' }, 'DATABASE_AWAY'],
  ['a table that is denied', { errno: 1_142 }, 'DATABASE_ACCESS_DENIED'],
  ['a missing table', { errno: 1_146 }, 'DATABASE_INCOMPLETE'],
  ['a missing column', { errno: 1_054 }, 'DATABASE_INCOMPLETE'],
  ['another SQLITE_ERROR', { errcode: 1 }, undefined],
  ['a duplicate key', { errno: 1_062 }, undefined],
  ['SQLITE_CONSTRAINT_UNIQUE', { errcode: 2_067 }, undefined],
  ['a statement that took too long', { errno: 3_024 }, undefined],
])('%s gives the reason why the database is unavailable', (_, properties, reason) => {
  expect(unavailabilityOf(errorOf(properties))).toBe(reason);
});

test.each([
  [3, 'Error writing file \'./tmp/x\' (Errcode: 28 "No space left on device")', 'DATABASE_FULL'],
  [1_026, "Error writing file 'binlog' (errno: 28 - No space left on device)", 'DATABASE_FULL'],
  [1_030, 'Got error 28 from storage engine', 'DATABASE_FULL'],
  [1_030, 'Got error 128 from storage engine', undefined],
  [1_030, 'Got error 280 from storage engine', undefined],
  [1_062, "Duplicate entry 'error 28' for key 'iban'", undefined],
])(
  'error %i, %s, is a full disk according to the number in its message',
  (errno, message, reason) => {
    expect(unavailabilityOf(errorOf({ errno }, message))).toBe(reason);
  },
);

test.each([
  ['SQLITE_FULL', { errcode: 13 }, true],
  ['a read-only server', { errno: 1_836 }, true],
  ['SQLITE_IOERR_FSYNC', { errcode: 1_034 }, false],
  ['a full disk of a server', { errno: 1_021 }, false],
  ['an interrupted query', { errno: 1_317 }, false],
  ['a lost connection', { code: 'ECONNRESET' }, false],
])('a commit that fails with %s is known to be rolled back, or not', (_, properties, isUndone) => {
  expect(isCertainlyRolledBack(errorOf(properties))).toBe(isUndone);
});
