/**
 * The client address of a request. Behind proxies the address comes from X-Forwarded-For, as far as the proxies are
 * trusted. Starting at the socket, each trusted address vouches for the address before it.
 */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv4 } from 'node:net';

/** Trusted proxies: their number, counted from the server, or their addresses and networks, such as 10.0.0.0/8. */
export type TrustedProxies = number | readonly string[];

/** Returns the address of the client that made a request: see remoteAddressOf for its form. */
export type AddressOf = (request: IncomingMessage) => string;

/** @param trusted undefined if X-Forwarded-For is ignored */
export function makeAddressOf(trusted: TrustedProxies | undefined): AddressOf {
  const direct: AddressOf = ({ socket }) => remoteAddressOf(socket.remoteAddress);
  if (trusted === undefined) return direct;
  const isTrusted = trustOf(trusted);
  return (request) => {
    let address = direct(request);
    const said = String(request.headers['x-forwarded-for'] ?? '').split(',');
    for (const [hop, next] of said.reverse().entries()) {
      const forwarded = addressIn(next);
      if (forwarded === undefined || !isTrusted(address, hop)) return address;
      address = forwarded;
    }
    return address;
  };
}

function trustOf(trusted: TrustedProxies): (address: string, hop: number) => boolean {
  if (typeof trusted === 'number') return (_, hop) => hop < trusted;
  const proxies = new BlockList();
  for (const range of trusted) addRange(proxies, range);
  return (sent) => {
    const address = unmapped(sent);
    return isIP(address) !== 0 && proxies.check(address, familyOf(address));
  };
}

function addRange(proxies: BlockList, range: string): void {
  const [address = '', bits] = range.split('/');
  if (bits === undefined) proxies.addAddress(address, familyOf(address));
  else proxies.addSubnet(address, Number(bits), familyOf(address));
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return isIPv4(address) ? 'ipv4' : 'ipv6';
}

/** Tells whether a text is an address, or a network in CIDR notation: RFC 4632, RFC 4291. */
export function isAddressRange(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  if (isIP(address) === 0 || address.includes('%') || rest.length > 0) return false;
  return bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) <= bitsOf(address));
}

function bitsOf(address: string): number {
  return isIPv4(address) ? 32 : 128;
}

/**
 * Returns the address in an item of X-Forwarded-For, without the port that some proxies add; undefined for an invalid
 * item.
 */
function addressIn(item: string): string | undefined {
  const text = item.trim();
  const withoutPort =
    /^\[(.*)\](?::[0-9]+)?$/.exec(text)?.[1] ?? /^([0-9.]+):[0-9]+$/.exec(text)?.[1];
  const address = remoteAddressOf(withoutPort ?? text);
  return isIP(address) === 0 ? undefined : address;
}

/** Returns an IPv4 address that is mapped to IPv6 as plain IPv4. Dual-stack sockets report mapped addresses. */
export function unmapped(address: string): string {
  const [, ipv4 = ''] = /^::ffff:(?=[0-9]+\.)(.*)$/i.exec(address) ?? [];
  return isIPv4(ipv4) ? ipv4 : address;
}

/**
 * Returns the address of a client in the form of the audit log: at most 45 characters, without the zone of an IPv6
 * address, which names a network interface of this machine (RFC 4007).
 * @param address the address of the socket; undefined for a client that has disconnected
 */
export function remoteAddressOf(address: string | undefined): string {
  const [withoutZone = ''] = (address ?? '').split('%');
  return withoutZone;
}
