import type { IncomingMessage } from 'node:http';
import { expect, test } from 'vitest';
import { makeAddressOf, remoteAddressOf, type TrustedProxies } from './remote-address.js';

const LONGEST = 'ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255';

test.each([
  ['192.0.2.1', '192.0.2.1'],
  ['::ffff:192.0.2.1', '::ffff:192.0.2.1'],
  ['fe80::1%eth0', 'fe80::1'],
  [`${LONGEST}%a-very-long-name`, LONGEST],
  [undefined, ''],
])('the audit log stores the address %s as %s', (address, kept) => {
  expect(remoteAddressOf(address)).toBe(kept);
});

function requestFrom(remoteAddress: string, forwarded?: string): IncomingMessage {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded };
  return { socket: { remoteAddress }, headers } as unknown as IncomingMessage;
}

const CLIENT = '203.0.113.7';

test.each<[TrustedProxies | undefined, string, string | undefined, string]>([
  [undefined, '10.0.0.1', CLIENT, '10.0.0.1'],
  [1, '10.0.0.1', undefined, '10.0.0.1'],
  [1, '10.0.0.1', CLIENT, CLIENT],
  [1, '10.0.0.1', `198.51.100.1, ${CLIENT}`, CLIENT],
  [2, '10.0.0.1', `198.51.100.1,${CLIENT} , 10.0.0.2`, CLIENT],
  [3, '10.0.0.1', CLIENT, CLIENT],
  [['10.0.0.0/8'], '10.0.0.1', `198.51.100.1, ${CLIENT}, 10.9.9.9`, CLIENT],
  [['10.0.0.0/8'], '::ffff:10.0.0.1', CLIENT, CLIENT],
  [['10.0.0.0/8'], '::FFFF:10.0.0.1', `${CLIENT}, ::ffff:10.0.0.2`, CLIENT],
  [['10.0.0.1'], '10.0.0.2', CLIENT, '10.0.0.2'],
  [['2001:db8::/32'], '2001:db8::1', '2001:DB9::7', '2001:DB9::7'],
  [['fe80::1'], 'fe80::1%eth0', CLIENT, CLIENT],
  [1, '10.0.0.1', `${CLIENT}:4711`, CLIENT],
  [1, '10.0.0.1', '[2001:db8::7]:4711', '2001:db8::7'],
  [1, '10.0.0.1', 'unknown', '10.0.0.1'],
  [2, '10.0.0.1', `${CLIENT}, <script>`, '10.0.0.1'],
  [1, '10.0.0.1', '', '10.0.0.1'],
  [1, '10.0.0.1', `${'9'.repeat(10_000)}`, '10.0.0.1'],
])(
  'with the trusted proxies %j, a request from %s for %s is from %s',
  (trusted, from, forwarded, address) => {
    expect(makeAddressOf(trusted)(requestFrom(from, forwarded))).toBe(address);
  },
);
