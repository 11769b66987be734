/** What our server asks of its callers in production: a token that it was told to trust. */
import { generateKeyPairSync, sign } from 'node:crypto';

const ISSUER = 'virement-bench';
const AUDIENCE = 'virement';
const VALID_S = 3_600;

const { privateKey, publicKey } = generateKeyPairSync('ed25519');

/** Those that the bench opened accounts for, on any database. */
const organizationIds = new Set<string>();

/** What a server is told to trust it. */
export const TRUST = {
  AUTH: 'on',
  AUTH_PUBLIC_KEY: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  AUTH_ISSUER: ISSUER,
  AUTH_AUDIENCE: AUDIENCE,
};

export function ownOrganization(id: string): void {
  organizationIds.add(id);
}

/** The header of the bank and of every company of the bench, in one. */
export function authorization(): string {
  const claims = {
    sub: 'bench',
    iss: ISSUER,
    aud: AUDIENCE,
    exp: Math.floor(Date.now() / 1_000) + VALID_S,
    org: [...organizationIds],
    roles: ['operator', 'initiator'],
  };
  const parts = [{ alg: 'EdDSA', typ: 'JWT' }, claims].map((part) => encode(JSON.stringify(part)));
  const signature = encode(sign(null, Buffer.from(parts.join('.')), privateKey));
  return `Bearer ${[...parts, signature].join('.')}`;
}

function encode(bytes: string | Buffer): string {
  return Buffer.from(bytes).toString('base64url');
}
