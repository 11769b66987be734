import { LOOPBACK_HOSTS } from './loopback.js';

/** The variables of the environment that concern authentication. */
type Environment = Readonly<{
  HOST: string;
  NODE_ENV?: string | undefined;
  AUTH?: 'on' | 'off' | undefined;
  AUTH_JWKS_URL?: string | undefined;
  AUTH_PUBLIC_KEY?: string | undefined;
  AUTH_ISSUER?: string | undefined;
  AUTH_AUDIENCE?: string | undefined;
  AUTH_ORG_CLAIM: string;
  AUTH_ROLES_CLAIM: string;
}>;

/**
 * The mode of authentication. With `missing` the server refuses to start and reports why; other programs need no
 * authentication.
 */
export type AuthenticationSettings =
  | { readonly mode: 'off' }
  | {
      readonly mode: 'on';
      readonly keys: { readonly jwksUrl: string } | { readonly publicKey: string };
      readonly issuer: string;
      readonly audience: string;
      readonly organizationClaim: string;
      readonly rolesClaim: string;
    }
  | { readonly mode: 'missing'; readonly reason: string };

const WHAT_TO_SET = 'Set AUTH_JWKS_URL or AUTH_PUBLIC_KEY, and AUTH_ISSUER and AUTH_AUDIENCE.';

/**
 * Returns the authentication settings of an environment. Development on loopback needs none. Every other environment
 * must configure authentication.
 */
export function authenticationOf(env: Environment): AuthenticationSettings {
  const { AUTH_JWKS_URL: jwksUrl, AUTH_PUBLIC_KEY: publicKey } = env;
  const isDevelopment = LOOPBACK_HOSTS.includes(env.HOST) && env.NODE_ENV !== 'production';
  const isAsked = jwksUrl !== undefined || publicKey !== undefined;
  if (env.AUTH === 'off' || (env.AUTH === undefined && !isAsked && isDevelopment)) {
    if (isDevelopment) return { mode: 'off' };
    const reason = `AUTH=off requires a HOST on loopback and a NODE_ENV other than production. ${WHAT_TO_SET}`;
    return { mode: 'missing', reason };
  }
  if (jwksUrl !== undefined && publicKey !== undefined) {
    return { mode: 'missing', reason: 'Set one of AUTH_JWKS_URL and AUTH_PUBLIC_KEY, not both.' };
  }
  const keys =
    jwksUrl === undefined ? publicKey !== undefined && { publicKey } : ({ jwksUrl } as const);
  const { AUTH_ISSUER: issuer, AUTH_AUDIENCE: audience } = env;
  if (!keys || issuer === undefined || audience === undefined) {
    return { mode: 'missing', reason: `The server could not authenticate anyone. ${WHAT_TO_SET}` };
  }
  return {
    mode: 'on',
    keys,
    issuer,
    audience,
    organizationClaim: env.AUTH_ORG_CLAIM,
    rolesClaim: env.AUTH_ROLES_CLAIM,
  };
}
