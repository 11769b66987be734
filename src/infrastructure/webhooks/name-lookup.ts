/**
 * Looks up the names of receivers by c-ares. node:dns.lookup would occupy a thread of libuv for each name, so a few names
 * whose name servers are silent would stop every look-up and every read of a file in this process.
 */
import type { LookupAddress } from 'node:dns';
import { Resolver } from 'node:dns/promises';
import { isLocalhostName, type LookupAll } from './egress-policy.js';

/** The time for the first answer of a name server. The second try has twice that time. */
const TIMEOUT_MS = 2_000;
const TRIES = 2;

export interface NameLookupOptions {
  /** The addresses of name servers with their ports. The default is the system's. */
  readonly nameServers?: readonly string[];
  /** The default is 2,000 ms. */
  readonly timeoutMs?: number;
}

/** The time after which the system's name servers are read again, because they may have changed. */
const RESOLVER_MAX_MS = 60_000;

/** The error of a name that no name server answered, while no other name was answered either. */
export class NameServersSilentError extends Error {
  override readonly name = 'NameServersSilentError';
}

/** The addresses of localhost, which no name server is asked for (RFC 6761, section 6.3). */
const LOCALHOST: readonly LookupAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];

/** Makes the look-up of the IPv4 and IPv6 addresses of a name. It fails if neither of both is known. */
export function makeNameLookup({ nameServers, timeoutMs }: NameLookupOptions = {}): LookupAll {
  let resolver: Resolver | undefined;
  let madeAt = 0;
  let answeredAt = Number.NEGATIVE_INFINITY;
  const currentResolver = (): Resolver => {
    if (resolver && performance.now() - madeAt < RESOLVER_MAX_MS) return resolver;
    madeAt = performance.now();
    resolver = new Resolver({ timeout: timeoutMs ?? TIMEOUT_MS, tries: TRIES });
    if (nameServers) resolver.setServers(nameServers);
    return resolver;
  };
  const resolveBoth = async (name: string): Promise<LookupAddress[]> => {
    if (isLocalhostName(name)) return [...LOCALHOST];
    const current = currentResolver();
    const [v4, v6] = await Promise.allSettled([current.resolve4(name), current.resolve6(name)]);
    const found = [...addressesOf(v4, 4), ...addressesOf(v6, 6)];
    const fault = v4.status === 'rejected' ? v4.reason : undefined;
    if (fault?.code !== 'ETIMEOUT') answeredAt = performance.now();
    else if (performance.now() - answeredAt > RESOLVER_MAX_MS) {
      throw new NameServersSilentError('No name server answers', { cause: fault });
    }
    if (found.length === 0 && fault) throw fault;
    return found;
  };
  return (name, _options, callback) => {
    resolveBoth(name).then(
      (addresses) => callback(null, addresses),
      (error: NodeJS.ErrnoException) => callback(error, []),
    );
  };
}

function addressesOf(answer: PromiseSettledResult<string[]>, family: 4 | 6): LookupAddress[] {
  const addresses = answer.status === 'fulfilled' ? answer.value : [];
  return addresses.map((address) => ({ address, family }));
}
