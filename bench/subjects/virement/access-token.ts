/** The access token that the bench shows to the server under test, and the settings that make the server accept it. */
import { generateKeyPairSync, sign } from 'node:crypto';

const ISSUER = 'virement-bench';
const AUDIENCE = 'virement';
const VALID_S = 3_600;

const { privateKey, publicKey } = generateKeyPairSync('ed25519');

/** The organizations whose accounts the bench opened, on any database. */
const organizationIds = new Set<string>();

export const TOKEN_SETTINGS = {
  AUTH: 'on',
  AUTH_PUBLIC_KEY: publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  AUTH_ISSUER: ISSUER,
  AUTH_AUDIENCE: AUDIENCE,
};

/** Adds an organization to the later tokens. */
export function addOrganization(id: string): void {
  organizationIds.add(id);
}

/** Returns the value of the Authorization header, for an operator who acts for every organization. */
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
