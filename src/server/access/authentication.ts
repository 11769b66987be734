/**
 * Who asks: a JSON Web Token of the identity provider's, or an API key of ours, both as
 * `Authorization: Bearer …`. Algorithms are pinned, so that a token can't choose how it is judged.
 */
import { hash } from 'node:crypto';
import {
  createLocalJWKSet,
  createRemoteJWKSet,
  errors,
  importSPKI,
  type JWTPayload,
  type JWTVerifyGetKey,
  jwtVerify,
} from 'jose';
import { LRUCache } from 'lru-cache';
import { isApiKey } from '../../domain/api-key.js';
import { type Caller, DEVELOPER } from '../../domain/caller.js';
import { ROLES, type Role } from '../../domain/kinds.js';
import { canonicalId } from '../../domain/page.js';
import { characterCount } from '../../domain/text.js';
import { ExplainedError } from '../../infrastructure/observability/explained-error.js';
import type { AuthenticationSettings } from './authentication-settings.js';

const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];

/** How far the provider's clock may be from ours. */
const CLOCK_TOLERANCE_S = 30;

/** Between questions to the provider at least, whatever keys tokens name. */
const JWKS_COOLDOWN_MS = 10_000;

/** Lifetime of an outcome: a revoked key, or a token whose signing key was withdrawn, is refused by then. */
const CACHED_MS = 5_000;
const CACHED_MAX = 10_000;

export interface Authenticated {
  readonly caller: Caller;
  /** When it ends by itself; undefined for what has no end. */
  readonly expiresAt: Date | undefined;
}

export interface Authenticator {
  /**
   * @param authorization as the header of that name has it
   * @returns who asks; undefined for nobody we know: no credential, a wrong one, one that has ended
   * @throws Error where it can't be said now: the provider or the database does not answer
   */
  authenticate(authorization: string | undefined): Promise<Authenticated | undefined>;
}

/** @param callerOfApiKey whose key it is; undefined for one that is not valid */
export async function makeAuthenticator(
  settings: AuthenticationSettings,
  callerOfApiKey: (apiKey: string) => Promise<Caller | undefined>,
): Promise<Authenticator> {
  if (settings.mode === 'off') {
    return { authenticate: async () => ({ caller: DEVELOPER, expiresAt: undefined }) };
  }
  if (settings.mode === 'missing') throw new ExplainedError(settings.reason);
  const judgeToken = await makeTokenJudge(settings);
  const judge = async (credential: string): Promise<Authenticated | undefined> => {
    if (!isApiKey(credential)) return judgeToken(credential);
    const caller = await callerOfApiKey(credential);
    return caller && { caller, expiresAt: undefined };
  };
  return new CachingAuthenticator(judge);
}

type Judge = (credential: string) => Promise<Authenticated | undefined>;

type TokenSettings = Extract<AuthenticationSettings, { mode: 'on' }>;

async function makeTokenJudge(settings: TokenSettings): Promise<Judge> {
  const { issuer, audience } = settings;
  const options = {
    issuer,
    audience,
    algorithms: ALGORITHMS,
    clockTolerance: CLOCK_TOLERANCE_S,
    requiredClaims: ['exp', 'sub'],
  };
  const verify = await makeVerifier(settings, options);
  return async (token) => {
    try {
      const { payload } = await verify(token);
      return readClaims(payload, settings);
    } catch (error) {
      if (error instanceof ProviderError) throw error;
      // Whatever else goes wrong, the token brought it: its algorithm, its form, its signature, its claims.
      return undefined;
    }
  };
}

/** The identity provider does not answer, or answers nonsense: no fault of a token. */
class ProviderError extends Error {}

/** Errors of jose where the provider answered and has no key for a token. */
const WITHOUT_KEY = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys] as const;

type Options = NonNullable<Parameters<typeof jwtVerify>[2]>;

/** jose keeps a provider's keys, and asks for them again when a token names one that it does not have. */
async function makeVerifier(
  { keys }: TokenSettings,
  options: Options,
): Promise<(token: string) => Promise<{ payload: JWTPayload }>> {
  if (!('jwksUrl' in keys)) {
    const { key, algorithm } = await importPublicKey(keys.publicKey);
    return (token) => jwtVerify(token, key, { ...options, algorithms: [algorithm] });
  }
  const remote = createRemoteJWKSet(new URL(keys.jwksUrl), { cooldownDuration: JWKS_COOLDOWN_MS });
  const keyOf: JWTVerifyGetKey = async (header, token) => {
    try {
      return await remote(header, token);
    } catch (error) {
      if (WITHOUT_KEY.some((fault) => error instanceof fault)) throw error;
      const known = remote.jwks();
      // While the provider is away its last keys do.
      if (known) return createLocalJWKSet(known)(header, token);
      throw new ProviderError('The identity provider gave no keys', { cause: error });
    }
  };
  return (token) => jwtVerify(token, keyOf, options);
}

/** A PEM does not say what its key is for: the first algorithm that takes it. */
async function importPublicKey(pem: string) {
  for (const algorithm of ALGORITHMS) {
    const key = await importSPKI(pem, algorithm).catch(() => undefined);
    if (key) return { key, algorithm };
  }
  throw new ExplainedError('AUTH_PUBLIC_KEY is no public key in PEM: RSA, P-256 or Ed25519.');
}

/** OpenID Connect Core 1.0, section 2: `sub` must not exceed 255 characters. */
const SUBJECT_CHARACTERS_MAX = 255;

function isSubject(claim: unknown): claim is string {
  if (typeof claim !== 'string' || claim === '' || !claim.isWellFormed()) return false;
  return characterCount(claim) <= SUBJECT_CHARACTERS_MAX;
}

/** @returns undefined where the token does not say who has it */
function readClaims(
  payload: JWTPayload,
  { organizationClaim, rolesClaim }: TokenSettings,
): Authenticated | undefined {
  if (!isSubject(payload.sub)) return undefined;
  return {
    caller: {
      kind: 'token',
      name: payload.sub,
      organizationIds: textsOf(claimOf(payload, organizationClaim)).flatMap(
        (id) => canonicalId(id) ?? [],
      ),
      roles: rolesOf(claimOf(payload, rolesClaim)),
    },
    expiresAt: payload.exp === undefined ? undefined : new Date(payload.exp * 1_000),
  };
}

/** Returns the roles that a claim names, in any case: providers and this API's enum write them in capitals. */
export function rolesOf(claim: unknown): Role[] {
  const names = textsOf(claim).map((name) => name.toLowerCase());
  return ROLES.filter((role) => names.includes(role));
}

/**
 * Returns the claim of a name: of this name exactly, else the one that its parts between dots lead to, such as
 * `realm_access.roles`. A part may have dots itself, as the URLs have by which some providers name their claims.
 */
export function claimOf(claims: unknown, name: string): unknown {
  if (!isClaims(claims)) return undefined;
  if (Object.hasOwn(claims, name)) return claims[name];
  for (let dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
    const outer = name.slice(0, dot);
    if (!Object.hasOwn(claims, outer)) continue;
    const claim = claimOf(claims[outer], name.slice(dot + 1));
    if (claim !== undefined) return claim;
  }
  return undefined;
}

function isClaims(claims: unknown): claims is Record<string, unknown> {
  return typeof claims === 'object' && claims !== null && !Array.isArray(claims);
}

/** One text, several, or several in one with spaces between them, as OAuth has scopes. */
function textsOf(claim: unknown): string[] {
  if (typeof claim === 'string') return claim.split(' ').filter((text) => text !== '');
  return Array.isArray(claim) ? claim.filter((text) => typeof text === 'string') : [];
}

/** Keeps each outcome for some seconds: checking a signature takes longer than judging a small bulk. */
class CachingAuthenticator implements Authenticator {
  /** Outcomes by the hash of the credential, so that no credential is kept. */
  readonly #cache = new LRUCache<string, Promise<Authenticated | undefined>>({
    max: CACHED_MAX,
    ttl: CACHED_MS,
  });

  constructor(private readonly judge: Judge) {}

  async authenticate(authorization: string | undefined): Promise<Authenticated | undefined> {
    const credential = /^Bearer +([^ ]+) *$/i.exec(authorization ?? '')?.[1];
    if (credential === undefined) return undefined;
    const found = await this.#find(credential);
    const hasEnded = found?.expiresAt !== undefined && endOf(found.expiresAt) <= Date.now();
    return hasEnded ? undefined : found;
  }

  #find(credential: string): Promise<Authenticated | undefined> {
    const key = hash('sha256', credential, 'base64');
    const cached = this.#cache.get(key);
    if (cached) return cached;
    const found = this.judge(credential);
    this.#cache.set(key, found);
    found.catch(() => this.#cache.delete(key));
    return found;
  }
}

/** The moment from which a token is refused. */
function endOf(expiresAt: Date): number {
  return expiresAt.getTime() + CLOCK_TOLERANCE_S * 1_000;
}

/** Between looks at whether a caller is still let in, while a stream lasts. */
const LOOK_AGAIN_MS = 5_000;

/**
 * Ends a stream when its caller's credential ends or is withdrawn.
 * @param end told whether it ended by itself
 * @returns ends the watch
 */
export function watchAccess(
  authenticator: Authenticator,
  authorization: string | undefined,
  { expiresAt }: Authenticated,
  end: (hasExpired: boolean) => void,
): () => void {
  let timer: NodeJS.Timeout;
  let hasEnded = false;
  const isOver = () => expiresAt !== undefined && endOf(expiresAt) <= Date.now();
  const look = async () => {
    // A database that does not answer is looked at again; nobody is let out for it.
    const found = await authenticator.authenticate(authorization).catch(() => 'unknown');
    if (hasEnded) return;
    if (found === undefined) end(isOver());
    else plan();
  };
  const plan = () => {
    const leftMs = expiresAt === undefined ? LOOK_AGAIN_MS : endOf(expiresAt) - Date.now();
    timer = setTimeout(() => void look(), Math.min(Math.max(leftMs, 1), LOOK_AGAIN_MS));
    timer.unref();
  };
  plan();
  return () => {
    hasEnded = true;
    clearTimeout(timer);
  };
}
