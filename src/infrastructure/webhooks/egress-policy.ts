/**
 * Decides which addresses the server may call for a company. A company chooses the URL of its webhook, so without this
 * policy it could make the server call the server's own network (server-side request forgery).
 *
 * - An address literal in a URL is checked before the request, because a literal is never looked up.
 * - A host name is looked up once for each connection. All addresses of the answer are checked, and the connection
 *   goes to one of these addresses. The name is not looked up a second time, so an answer that changes has no effect.
 */
import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP, type LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { type Problem, quote } from '../../domain/problem.js';
import { webhookUrlProblems } from '../../domain/webhook-url.js';

/** The answers of a resolver: node:dns.lookup, or a function of the same form that calls back with all addresses. */
export type LookupAll = (
  hostname: string,
  options: LookupOptions & { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** The addresses that may be called. */
export interface EgressPolicy {
  /** Whether loopback addresses may be called as well. It is meant for development. */
  readonly allowsLoopback: boolean;
}

/** The error of a call to an address that is not public. The message does not contain the address. */
export class RefusedAddressError extends Error {
  override readonly name = 'RefusedAddressError';

  constructor() {
    super('The address is not public.');
  }
}

/** The part of IPv6 that IANA has given out as global unicast addresses. All other parts have a special purpose. */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/**
 * Networks within 2000::/3 that are not public or lead to IPv4 addresses: protocol assignments with Teredo, two for
 * documents, and 6to4. Source: IANA IPv6 Special-Purpose Address Registry.
 */
const SPECIAL_IPV6 = ['2001::/23', '2001:db8::/32', '2002::/16', '3fff::/20'].map((network) =>
  ipaddr.IPv6.parseCIDR(network),
);

/**
 * The address at which Azure serves each of its machines: agent, DNS and health probes. Azure alone routes it, and no
 * registry lists it.
 */
const AZURE_PLATFORM = '168.63.129.16';

/**
 * Tells whether an address may be called.
 * @param address an IPv4 address of four decimal numbers, or an IPv6 address without brackets; any other text is refused
 */
export function isAllowedAddress(address: string, { allowsLoopback }: EgressPolicy): boolean {
  // A zone, as in fe80::1%eth0, names an interface of this machine.
  if (isIP(address) === 0 || address.includes('%')) return false;
  const parsed = ipaddr.process(isIP(address) === 6 ? inHexadecimal(address) : address);
  const range = parsed.range();
  if (range === 'loopback') return allowsLoopback;
  if (range !== 'unicast') return false;
  if (!(parsed instanceof ipaddr.IPv6)) return parsed.toString() !== AZURE_PLATFORM;
  return parsed.match(GLOBAL_UNICAST) && !SPECIAL_IPV6.some((network) => parsed.match(network));
}

/**
 * Returns an IPv6 address without decimal numbers. ipaddr.js reads ::8.8.8.8 as ::ffff:8.8.8.8, which is another
 * address, and resolvers write the addresses of ::/96 in this form.
 */
function inHexadecimal(address: string): string {
  return new URL(`http://[${address}]/`).hostname.slice(1, -1);
}

/**
 * Returns the address that a URL names in place of a host name; undefined for a host name.
 * @param hostname the host of a parsed http or https URL, which has every spelling of an IPv4 address normalised
 */
export function addressLiteralOf(hostname: string): string | undefined {
  const text = hostname.replace(/^\[(.*)\]$/, '$1');
  return isIP(text) === 0 ? undefined : text;
}

/** Returns the problems of a receiver's URL: those of its form, or an address literal that may not be called. */
export function receiverUrlProblems(text: string, policy: EgressPolicy): readonly Problem[] {
  const problems = webhookUrlProblems(text, policy);
  if (problems.length > 0) return problems;
  const literal = addressLiteralOf(new URL(text).hostname);
  if (literal === undefined || isAllowedAddress(literal, policy)) return [];
  const message = `${quote(text)} is not a public address.`;
  return [{ field: 'url', code: 'INVALID_URL', message }];
}

/** Tells whether a host name means the machine that resolves it: localhost, and every name below it. */
export function isLocalhostName(hostname: string): boolean {
  return /(^|\.)localhost\.?$/i.test(hostname);
}

/**
 * Returns the look-up of a connection. It calls back with a RefusedAddressError if the policy refuses any address of
 * the answer, because a mixed answer is an attack or a mistake.
 */
export function makeGuardedLookup(lookup: LookupAll, policy: EgressPolicy): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = error ? [] : addresses;
      if (!first) {
        callback(error ?? notFound(), []);
      } else if (!addresses.every(({ address }) => isAllowedAddress(address, policy))) {
        callback(new RefusedAddressError(), []);
      } else if (options.all) {
        callback(null, addresses);
      } else {
        callback(null, first.address, first.family);
      }
    });
  };
}

const notFound = () => Object.assign(new Error('No address'), { code: 'ENOTFOUND' });
