/**
 * The address that a request comes from. Behind proxies it is what the nearest proxies say in X-Forwarded-For, as far
 * as they are trusted: from the socket on, each trusted address vouches for the one before it.
 */
import type { IncomingMessage } from 'node:http';
import { BlockList, isIP, isIPv4 } from 'node:net';

/** Trusted proxies: so many, counted from the server, or those of some addresses and networks, such as 10.0.0.0/8. */
export type TrustedProxies = number | readonly string[];

/** Tells the address of the client that made a request: see remoteAddressOf for its form. */
export type AddressOf = (request: IncomingMessage) => string;

/** @param trusted undefined where X-Forwarded-For means nothing */
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

/** Tells whether a text is an address, or a network as CIDR writes it: RFC 4632, RFC 4291. */
export function isAddressRange(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/');
  if (isIP(address) === 0 || address.includes('%') || rest.length > 0) return false;
  return bits === undefined || (/^[0-9]{1,3}$/.test(bits) && Number(bits) <= bitsOf(address));
}

function bitsOf(address: string): number {
  return isIPv4(address) ? 32 : 128;
}

/** Returns the address in an item of X-Forwarded-For, to which some proxies add a port; undefined for what is none. */
function addressIn(item: string): string | undefined {
  const text = item.trim();
  const withoutPort =
    /^\[(.*)\](?::[0-9]+)?$/.exec(text)?.[1] ?? /^([0-9.]+):[0-9]+$/.exec(text)?.[1];
  const address = remoteAddressOf(withoutPort ?? text);
  return isIP(address) === 0 ? undefined : address;
}

/** Returns an IPv4 address as itself where it is written as an IPv6 one, as sockets that take both have it. */
export function unmapped(address: string): string {
  const [, ipv4 = ''] = /^::ffff:(?=[0-9]+\.)(.*)$/i.exec(address) ?? [];
  return isIPv4(ipv4) ? ipv4 : address;
}

/**
 * Returns the address of a client as the audit log keeps it: at most 45 characters, without the zone of an
 * IPv6 address, which names a network interface of this machine (RFC 4007).
 * @param address as the socket has it; a client that disconnected has none
 */
export function remoteAddressOf(address: string | undefined): string {
  const [withoutZone = ''] = (address ?? '').split('%');
  return withoutZone;
}
