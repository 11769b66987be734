import type { LookupAddress } from 'node:dns';
import { describe, expect, test } from 'vitest';
import {
  addressLiteralOf,
  isAllowedAddress,
  isLocalhostName,
  type LookupAll,
  makeGuardedLookup,
  RefusedAddressError,
} from './egress-policy.js';

const PUBLIC = { allowsLoopback: false };
const DEVELOPMENT = { allowsLoopback: true };

/** Addresses that no company may make the server call, by their purpose. */
const REFUSED = {
  'IPv4 unspecified': ['0.0.0.0', '0.255.255.255'],
  'IPv4 private': ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.0.1'],
  'IPv4 shared by a carrier': ['100.64.0.1', '100.127.255.255'],
  'IPv4 link-local and metadata': ['169.254.0.1', '169.254.169.254'],
  'IPv4 protocol assignments and documents': [
    ...['192.0.0.1', '192.0.2.1', '198.18.0.1', '198.51.100.1', '203.0.113.1'],
  ],
  'IPv4 relay of 6to4': ['192.88.99.1'],
  'IPv4 of the platform of Azure': ['168.63.129.16', '::ffff:168.63.129.16', '::ffff:a83f:8110'],
  'IPv4 multicast, reserved and broadcast': [
    ...['224.0.0.1', '239.255.255.255', '240.0.0.1', '255.255.255.255'],
  ],
  'IPv6 unspecified, and compatible with IPv4': ['::', '::7f00:1', '::8.8.8.8', '::127.0.0.1'],
  'IPv6 that maps IPv4': ['::ffff:10.0.0.1', '::ffff:a9fe:a9fe', '::ffff:0:10.0.0.1'],
  'IPv6 NAT64': ['64:ff9b::7f00:1', '64:ff9b::8.8.8.8', '64:ff9b:1::1'],
  'IPv6 6to4 and Teredo': ['2002:7f00:1::', '2002:808:808::1', '2001::1', '2001:0:7f00:1::'],
  'IPv6 private, link-local and site-local': ['fc00::1', 'fd00:ec2::254', 'fe80::1', 'fec0::1'],
  'IPv6 multicast, discard, documents, segment routing': [
    ...['ff02::1', '100::1', '2001:db8::1', '3fff::1', '5f00::1'],
  ],
  'IPv6 not given out': ['4000::1', '8000::1', 'e000::1'],
  'with a zone': ['fe80::1%eth0', '::1%lo', '2606:4700::1%eth0'],
  'no addresses': ['', 'localhost', '127.1', '0x7f000001', '2130706433', '[::1]', '8.8.8.8/32'],
};

describe('the addresses that may be called', () => {
  test.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2606:4700::1', '2a00:1450::1'])(
    'have %s, which is public',
    (address) => {
      expect(isAllowedAddress(address, PUBLIC)).toBe(true);
      expect(isAllowedAddress(address, DEVELOPMENT)).toBe(true);
    },
  );

  test('have a mapped IPv4 address that is public', () => {
    expect(isAllowedAddress('::ffff:8.8.8.8', PUBLIC)).toBe(true);
  });

  test.each(Object.entries(REFUSED))(
    'have none that is %s, even in development',
    (_, addresses) => {
      const allowed = addresses.filter(
        (address) => isAllowedAddress(address, PUBLIC) || isAllowedAddress(address, DEVELOPMENT),
      );

      expect(allowed).toEqual([]);
    },
  );

  test.each(['127.0.0.1', '127.255.255.254', '::1', '::ffff:127.0.0.1', '::ffff:7f00:1'])(
    'have the loopback address %s in development only',
    (address) => {
      expect(isAllowedAddress(address, PUBLIC)).toBe(false);
      expect(isAllowedAddress(address, DEVELOPMENT)).toBe(true);
    },
  );
});

describe('the host of a parsed URL', () => {
  test.each([
    ['0x7f.1', '127.0.0.1'],
    ['2130706433', '127.0.0.1'],
    ['017700000001', '127.0.0.1'],
    ['127.1', '127.0.0.1'],
    ['127.0.0.1.', '127.0.0.1'],
    ['１２７.０.０.１', '127.0.0.1'],
    ['127。0。0。1', '127.0.0.1'],
    ['%31%32%37.0.0.1', '127.0.0.1'],
    ['0xa9fea9fe', '169.254.169.254'],
    ['[::ffff:127.0.0.1]', '::ffff:7f00:1'],
    ['[0:0:0:0:0:0:0:1]', '::1'],
    ['[::]', '::'],
  ])('spells %s as %s', (host, address) => {
    expect(addressLiteralOf(new URL(`https://${host}/`).hostname)).toBe(address);
  });

  test.each(['[fe80::1%eth0]', '[fe80::1%25eth0]', '256.256.256.256', '1.2.3.4.5', '0x100000000'])(
    'is never %s',
    (host) => {
      expect(URL.canParse(`https://${host}/`)).toBe(false);
    },
  );

  test('is a host name if it is no address', () => {
    expect(addressLiteralOf('hooks.acme.example')).toBeUndefined();
  });

  test.each(['localhost', 'localhost.', 'LOCALHOST', 'a.localhost', 'a.localhost.'])(
    'means the machine that resolves it: %s',
    (name) => {
      expect(isLocalhostName(name)).toBe(true);
    },
  );

  test.each(['localhost.acme.example', 'my-localhost'])('means another machine: %s', (name) => {
    expect(isLocalhostName(name)).toBe(false);
  });
});

describe('the look-up of a connection', () => {
  /** A resolver that gives each answer once. */
  const resolverOf = (...answers: readonly (readonly string[])[]): LookupAll => {
    const rest = [...answers];
    return (_, options, callback) => {
      expect(options.all).toBe(true);
      const addresses = (rest.shift() ?? []).map(
        (address): LookupAddress => ({ address, family: address.includes(':') ? 6 : 4 }),
      );
      callback(null, addresses);
    };
  };

  type Found = string | readonly LookupAddress[] | Error;

  const find = (lookup: ReturnType<typeof makeGuardedLookup>, all: boolean) =>
    new Promise<Found>((resolve) => {
      lookup('hooks.acme.example', { all }, (error, found) => resolve(error ?? found));
    });

  test('has the addresses that were checked, one or all', async () => {
    const lookup = makeGuardedLookup(resolverOf(['8.8.8.8'], ['8.8.8.8', '2606:4700::1']), PUBLIC);

    expect(await find(lookup, false)).toBe('8.8.8.8');
    expect(await find(lookup, true)).toEqual([
      { address: '8.8.8.8', family: 4 },
      { address: '2606:4700::1', family: 6 },
    ]);
  });

  test('is refused when a name moves from a public address to this machine', async () => {
    const lookup = makeGuardedLookup(resolverOf(['8.8.8.8'], ['127.0.0.1']), PUBLIC);

    expect(await find(lookup, false)).toBe('8.8.8.8');
    expect(await find(lookup, false)).toBeInstanceOf(RefusedAddressError);
  });

  test.each([true, false])(
    'is refused if one address of several is refused (all: %s)',
    async (all) => {
      const lookup = makeGuardedLookup(resolverOf(['8.8.8.8', '10.0.0.1']), PUBLIC);

      expect(await find(lookup, all)).toBeInstanceOf(RefusedAddressError);
    },
  );

  test('fails if the answer has no address', async () => {
    expect(await find(makeGuardedLookup(resolverOf([]), PUBLIC), false)).toMatchObject({
      code: 'ENOTFOUND',
    });
  });
});
