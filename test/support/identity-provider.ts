import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, type JWTPayload, SignJWT } from 'jose';
import { onTestFinished } from 'vitest';

const ISSUER = 'https://id.example';
const AUDIENCE = 'virement';

/** Signs tokens, as a bank's identity provider does. */
export interface IdentityProvider {
  /** Environment of a server that trusts this provider. */
  readonly env: NodeJS.ProcessEnv;
  /** Signs a token. @param claims override those of a valid token */
  token(claims?: JWTPayload, expiresIn?: string): Promise<string>;
}

async function makeSigner(algorithm: string, kid?: string) {
  const { privateKey, publicKey } = await generateKeyPair(algorithm, { extractable: true });
  const token = (claims: JWTPayload = {}, expiresIn = '5m') =>
    new SignJWT({ roles: ['viewer'], sub: 'someone', ...claims })
      .setProtectedHeader({ alg: algorithm, ...(kid !== undefined && { kid }) })
      .setIssuer(claims.iss ?? ISSUER)
      .setAudience(claims.aud ?? AUDIENCE)
      .setExpirationTime(expiresIn)
      .sign(privateKey);
  return { publicKey, token };
}

/** Starts a provider whose public key is in the server's environment. */
export async function startIdentityProvider(algorithm = 'EdDSA'): Promise<IdentityProvider> {
  const { publicKey, token } = await makeSigner(algorithm);
  const env = {
    AUTH: 'on',
    AUTH_PUBLIC_KEY: await exportSPKI(publicKey),
    AUTH_ISSUER: ISSUER,
    AUTH_AUDIENCE: AUDIENCE,
  };
  return { env, token };
}

export interface JwksProvider extends IdentityProvider {
  rotate(): Promise<void>;
  /** Makes the provider answer with 503, or normally again. */
  setDown(isDown: boolean): void;
}

/** Starts a provider that publishes its keys and rotates them. */
export async function startJwksProvider(): Promise<JwksProvider> {
  let number = 1;
  let isAway = false;
  let signer = await makeSigner('ES256', '1');
  const server = createServer(async (_, response) => {
    const jwk = { ...(await exportJWK(signer.publicKey)), kid: String(number), alg: 'ES256' };
    response.statusCode = isAway ? 503 : 200;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ keys: [jwk] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    env: {
      AUTH: 'on',
      AUTH_JWKS_URL: `http://127.0.0.1:${port}/jwks`,
      AUTH_ISSUER: ISSUER,
      AUTH_AUDIENCE: AUDIENCE,
    },
    token: (claims, expiresIn) => signer.token(claims, expiresIn),
    setDown: (isDown) => {
      isAway = isDown;
    },
    rotate: async () => {
      number += 1;
      signer = await makeSigner('ES256', String(number));
    },
  };
}
