/**
 * Authentication of callers by `Authorization: Bearer …`. The credential is a JSON Web Token of the identity provider,
 * or an API key of this server. Algorithms are pinned, so that a token cannot choose how it is verified.
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
import { type ApiKeyFault, type ApiKeyOwner, isApiKey } from '../../domain/api-key.js';
import { type Caller, DEVELOPER } from '../../domain/caller.js';
import { canonicalId } from '../../domain/id.js';
import { ROLES, type Role } from '../../domain/kinds.js';
import { characterCount } from '../../domain/text.js';
import { ExplainedError } from '../../infrastructure/observability/explained-error.js';
import type { AuthenticationSettings } from './authentication-settings.js';

const ALGORITHMS = ['RS256', 'ES256', 'EdDSA'];

/** The difference that is tolerated between the provider's clock and this server's, in seconds. */
const CLOCK_TOLERANCE_S = 30;

/** Minimum interval between two requests for the provider's keys, whatever keys tokens name. */
const JWKS_COOLDOWN_MS = 10_000;

/**
 * Lifetime of a cached outcome. A revoked key, or a token whose signing key was withdrawn, is refused after this time.
 */
const CACHED_MS = 5_000;
const CACHED_MAX = 10_000;

export interface Authenticated {
  readonly caller: Caller;
  /** The time from which the credential is refused; null if it does not expire. */
  readonly endsAt: Date | null;
}

/** Why a credential was refused. */
export type CredentialFault =
  | 'MISSING'
  | 'MALFORMED'
  | 'ALGORITHM'
  | 'SIGNATURE'
  | 'SIGNING_KEY'
  | 'EXPIRED'
  | 'ISSUER'
  | 'AUDIENCE'
  | 'CLAIMS'
  | 'API_KEY';

interface Refused {
  readonly fault: CredentialFault;
}

export interface Authenticator {
  /**
   * @param authorization the Authorization header of the request
   * @returns the caller; undefined for a missing, invalid or expired credential
   * @throws Error if the credential cannot be checked now, because the provider or the database does not answer
   */
  authenticate(authorization: string | undefined): Promise<Authenticated | undefined>;
  /** Returns why a credential was just refused, for the log. */
  faultOf(authorization: string | undefined): Promise<CredentialFault>;
}

/** @param checkApiKey returns the owner of an API key, or why it is refused */
export async function makeAuthenticator(
  settings: AuthenticationSettings,
  checkApiKey: (apiKey: string) => Promise<ApiKeyOwner | ApiKeyFault>,
): Promise<Authenticator> {
  if (settings.mode === 'off') {
    const authenticate = async () => ({ caller: DEVELOPER, endsAt: null });
    return { authenticate, faultOf: async () => 'MISSING' };
  }
  if (settings.mode === 'missing') throw new ExplainedError(settings.reason);
  const judgeToken = await makeTokenJudge(settings);
  const judge: Judge = async (credential) => {
    if (!isApiKey(credential)) return judgeToken(credential);
    const owner = await checkApiKey(credential);
    if (owner === 'INVALID') return { fault: 'API_KEY' };
    if (owner === 'EXPIRED') return { fault: 'EXPIRED' };
    return { caller: owner.caller, endsAt: owner.expiresAt };
  };
  return new CachingAuthenticator(judge);
}

type Judge = (credential: string) => Promise<Authenticated | Refused>;

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
      return readClaims(payload, settings) ?? { fault: 'CLAIMS' };
    } catch (error) {
      if (error instanceof ProviderError) throw error;
      // The token causes every other error: by its algorithm, form, signature or claims.
      return { fault: faultOfToken(error) };
    }
  };
}

function faultOfToken(error: unknown): CredentialFault {
  if (error instanceof errors.JWTExpired) return 'EXPIRED';
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'SIGNATURE';
  if (error instanceof errors.JOSEAlgNotAllowed) return 'ALGORITHM';
  if (WITHOUT_KEY.some((fault) => error instanceof fault)) return 'SIGNING_KEY';
  if (!(error instanceof errors.JWTClaimValidationFailed)) return 'MALFORMED';
  return error.claim === 'iss' ? 'ISSUER' : error.claim === 'aud' ? 'AUDIENCE' : 'CLAIMS';
}

/** The error for an identity provider that does not answer, or gives an invalid answer. The token is not at fault. */
class ProviderError extends Error {}

/** Errors of jose that mean that the provider answered and has no key for a token. */
const WITHOUT_KEY = [errors.JWKSNoMatchingKey, errors.JWKSMultipleMatchingKeys] as const;

type Options = NonNullable<Parameters<typeof jwtVerify>[2]>;

/**
 * Makes the verifier of tokens. jose caches the provider's keys, and requests them again when a token names an unknown
 * key.
 */
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
      // While the provider is unreachable, its last keys are used.
      if (known) return createLocalJWKSet(known)(header, token);
      throw new ProviderError('The identity provider returned no keys', { cause: error });
    }
  };
  return (token) => jwtVerify(token, keyOf, options);
}

/** Imports a PEM with the first algorithm that accepts it. A PEM does not name its algorithm. */
async function importPublicKey(pem: string) {
  for (const algorithm of ALGORITHMS) {
    const key = await importSPKI(pem, algorithm).catch(() => undefined);
    if (key) return { key, algorithm };
  }
  throw new ExplainedError('AUTH_PUBLIC_KEY must be a public key in PEM: RSA, P-256 or Ed25519.');
}

/** OpenID Connect Core 1.0, section 2: `sub` must not exceed 255 characters. */
const SUBJECT_CHARACTERS_MAX = 255;

function isSubject(claim: unknown): claim is string {
  if (typeof claim !== 'string' || claim === '' || !claim.isWellFormed()) return false;
  return characterCount(claim) <= SUBJECT_CHARACTERS_MAX;
}

/** Returns the caller that the claims name; undefined if the token does not identify its owner. */
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
    endsAt: payload.exp === undefined ? null : new Date((payload.exp + CLOCK_TOLERANCE_S) * 1_000),
  };
}

/** Returns the roles that a claim names. Case is ignored, because providers and this API's enum use capitals. */
export function rolesOf(claim: unknown): Role[] {
  const names = textsOf(claim).map((name) => name.toLowerCase());
  return ROLES.filter((role) => names.includes(role));
}

/**
 * Returns the claim of a name. A claim with exactly this name comes first. Otherwise the parts between dots are a path,
 * such as `realm_access.roles`. A part may contain dots itself, because some providers use URLs as claim names.
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

/**
 * Returns the texts of a claim: one text, an array of texts, or one text with spaces between them, like OAuth scopes.
 */
function textsOf(claim: unknown): string[] {
  if (typeof claim === 'string') return claim.split(' ').filter((text) => text !== '');
  return Array.isArray(claim) ? claim.filter((text) => typeof text === 'string') : [];
}

/** Caches each outcome for some seconds, because checking a signature takes longer than checking a small bulk. */
class CachingAuthenticator implements Authenticator {
  /** Outcomes by the hash of the credential, so that no credential is kept. */
  readonly #cache = new LRUCache<string, Promise<Authenticated | Refused>>({
    max: CACHED_MAX,
    ttl: CACHED_MS,
  });

  constructor(private readonly judge: Judge) {}

  async authenticate(authorization: string | undefined): Promise<Authenticated | undefined> {
    const credential = credentialOf(authorization);
    if (credential === undefined) return undefined;
    const found = await this.#find(credential);
    if ('fault' in found) return undefined;
    return isOver(found) ? undefined : found;
  }

  async faultOf(authorization: string | undefined): Promise<CredentialFault> {
    const credential = credentialOf(authorization);
    if (credential === undefined) return authorization === undefined ? 'MISSING' : 'MALFORMED';
    const found = await this.#find(credential);
    return 'fault' in found ? found.fault : 'EXPIRED';
  }

  #find(credential: string): Promise<Authenticated | Refused> {
    const key = hash('sha256', credential, 'base64');
    const cached = this.#cache.get(key);
    if (cached) return cached;
    const found = this.judge(credential);
    this.#cache.set(key, found);
    found.catch(() => this.#cache.delete(key));
    return found;
  }
}

/** Returns the credential of an Authorization header; undefined if the header has none. */
function credentialOf(authorization: string | undefined): string | undefined {
  return /^Bearer +([^ ]+) *$/i.exec(authorization ?? '')?.[1];
}

function isOver({ endsAt }: Authenticated): boolean {
  return endsAt !== null && endsAt.getTime() <= Date.now();
}

/** Maximum interval between two checks of a caller's access during a stream. */
const CHECK_AGAIN_MS = 5_000;

/**
 * Ends a stream when its caller's credential expires or is withdrawn.
 * @param end called with true if the credential expired, and false if it was withdrawn
 * @returns a function that ends the watch
 */
export function watchAccess(
  authenticator: Authenticator,
  authorization: string | undefined,
  authenticated: Authenticated,
  end: (hasExpired: boolean) => void,
): () => void {
  let timer: NodeJS.Timeout;
  let hasEnded = false;
  const { endsAt } = authenticated;
  const check = async () => {
    if (isOver(authenticated)) return end(true);
    // If the database does not answer, the check is repeated later. The stream continues until then.
    const found = await authenticator.authenticate(authorization).catch(() => 'unknown');
    if (hasEnded) return;
    if (found === undefined) end(isOver(authenticated));
    else plan();
  };
  const plan = () => {
    const leftMs = endsAt === null ? CHECK_AGAIN_MS : endsAt.getTime() - Date.now();
    timer = setTimeout(() => void check(), Math.min(Math.max(leftMs, 1), CHECK_AGAIN_MS));
    timer.unref();
  };
  plan();
  return () => {
    hasEnded = true;
    clearTimeout(timer);
  };
}
