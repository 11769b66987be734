import { isIPv6 } from 'node:net';
import type { RequestSource } from '../../domain/caller.js';
import { unmapped } from '../access/remote-address.js';

/** The groups of an IPv6 address that identify a customer's network: /64. */
const NETWORK_GROUPS = 4;

/** Returns the key against which a limit counts: the caller's identity, or the address if authentication is off. */
export function callerKeyOf({ caller: { kind, name }, remoteAddress }: RequestSource): string {
  return kind === 'development' ? addressKeyOf(remoteAddress) : `${kind} ${name}`;
}

/** Returns the address of a connection; for IPv6, its network. */
export function addressKeyOf(remoteAddress = ''): string {
  const address = unmapped(remoteAddress);
  return isIPv6(address) ? networkOf(address) : address;
}

function networkOf(address: string): string {
  const [head = '', tail] = (address.split('%')[0] ?? '').split('::');
  const before = head === '' ? [] : head.split(':');
  const after = tail ? tail.split(':') : [];
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  const groups = [...before, ...Array.from({ length: zeros }, () => '0'), ...after];
  return `${groups.slice(0, NETWORK_GROUPS).join(':')}::/64`;
}
