import fastifyHelmet from '@fastify/helmet';
import type { FastifyInstance } from 'fastify';

/** Everything comes from the server itself; only styles are made by scripts, those of GraphiQL's editor. */
const CONTENT_SECURITY_POLICY = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'worker-src': ["'self'"],
  'style-src': ["'self'", "'unsafe-inline'"],
  'img-src': ["'self'", 'data:'],
  'font-src': ["'self'", 'data:'],
  'connect-src': ["'self'"],
  'base-uri': ["'none'"],
  'form-action': ["'none'"],
  'frame-ancestors': ["'none'"],
};

export async function addSecurityHeaders(app: FastifyInstance): Promise<void> {
  await app.register(fastifyHelmet, {
    contentSecurityPolicy: { useDefaults: false, directives: CONTENT_SECURITY_POLICY },
    // For whoever terminates TLS to decide: it holds for the whole host, and for long.
    strictTransportSecurity: false,
    xFrameOptions: { action: 'deny' },
  });
}
