import { expect, test } from 'vitest';
import { type Caller, DEVELOPER } from '../../domain/caller.js';
import { addressKeyOf, callerKeyOf } from './caller-key.js';

test.each([
  ['127.0.0.1', '127.0.0.1'],
  ['::ffff:192.0.2.7', '192.0.2.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
])('the address %s counts as %s', (remoteAddress, key) => {
  expect(addressKeyOf(remoteAddress)).toBe(key);
});

const from = (caller: Caller, remoteAddress: string) =>
  callerKeyOf({ caller, requestId: 'x', remoteAddress });

test('an authenticated caller is counted by its subject, whatever its address', () => {
  const caller: Caller = { kind: 'token', name: 'someone', organizationIds: [], roles: [] };

  expect(from(caller, '192.0.2.7')).toBe(from(caller, '192.0.2.8'));
  expect(from({ ...caller, name: 'another' }, '192.0.2.7')).not.toBe(from(caller, '192.0.2.7'));
  expect(from({ ...caller, kind: 'api-key' }, '192.0.2.7')).not.toBe(from(caller, '192.0.2.7'));
});

test('an unauthenticated caller is counted by its address', () => {
  expect(from(DEVELOPER, '192.0.2.7')).toBe('192.0.2.7');
});
