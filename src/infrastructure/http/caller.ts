import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';

/** Groups of an IPv6 address that a customer of a network is given as a whole: /64. */
const NETWORK_GROUPS = 4;

/** Who a limit counts against: the address that the connection is from. */
export function callerKeyOf({ socket: { remoteAddress = '' } }: IncomingMessage): string {
  const address = remoteAddress.replace(/^::ffff:(?=\d+\.)/, '');
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
