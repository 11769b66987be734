import { expect, test } from 'vitest';
import { remoteAddressOf } from './remote-address.js';

const LONGEST = 'ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255';

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['fe80::1%eth0', 'fe80::1'],
  [`${LONGEST}%a-very-long-name`, LONGEST],
  [undefined, ''],
])('the audit log keeps the address %s as %s', (address, kept) => {
  expect(remoteAddressOf(address)).toBe(kept);
});
