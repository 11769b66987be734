/**
 * Serves the metrics to Prometheus: on the main port for the roles below, or on a separate port without authentication.
 */
import { type FastifyInstance, type FastifyReply, fastify } from 'fastify';
import { METRICS_ROLES } from '../domain/caller.js';
import type { Logger } from '../infrastructure/observability/logger.js';
import { METRICS_TYPE } from '../infrastructure/observability/metrics.js';
import { requireRole } from '../resolvers/context.js';
import { isFromThisMachine, requestSourceOf } from './access/access.js';
import { LOOPBACK_HOSTS } from './access/loopback.js';
import { connectionOptions, type ReceiveSettings } from './limits/connection-limits.js';

/** Settings with the names of the configuration. */
export interface MetricsSettings {
  /** The separate port of the metrics; undefined if the main port serves them. */
  readonly metricsPort: number | undefined;
  readonly metricsHost: string;
}

/** Returns the metrics as OpenMetrics. */
export type ReadMetrics = () => Promise<string>;

const PATH = '/metrics';

/** Limits the connections: Prometheus, its replica, and interactive users. */
const CONNECTIONS_MAX = 50;

/** Serves the metrics on the main port. */
export function serveMetrics(app: FastifyInstance, readMetrics: ReadMetrics): void {
  app.get(PATH, async (request, reply) => {
    requireRole({ source: requestSourceOf(request) }, ...METRICS_ROLES);
    return answer(reply, readMetrics);
  });
}

export interface MetricsServerPorts {
  readonly readMetrics: ReadMetrics;
  readonly logger: Logger;
  readonly settings: MetricsSettings & ReceiveSettings;
}

/**
 * Makes the server of the metrics' separate port, or nothing if there is no such port. It has no authentication. On
 * loopback it answers only to this machine's own names, so that no web page can read it through a name of its own.
 */
export function makeMetricsServer(ports: MetricsServerPorts): FastifyInstance | undefined {
  const { readMetrics, logger, settings } = ports;
  if (settings.metricsPort === undefined) return undefined;
  const app = fastify(connectionOptions(settings));
  app.server.maxConnections = CONNECTIONS_MAX;
  const isLoopback = LOOPBACK_HOSTS.includes(settings.metricsHost);
  app.get(PATH, async (request, reply) => {
    if (!isLoopback || isFromThisMachine(request.raw)) return answer(reply, readMetrics);
    return reply
      .code(403)
      .send(
        messageOf('Use localhost or a loopback address: this server answers to no other name.'),
      );
  });
  app.setNotFoundHandler((_, reply) =>
    reply.code(404).send(messageOf(`This port serves ${PATH} only.`)),
  );
  app.setErrorHandler((error, _, reply) => {
    logger.error({ err: error }, 'Metrics not read');
    return reply.code(500).send(messageOf('The metrics could not be read.'));
  });
  return app;
}

function messageOf(message: string): object {
  return { errors: [{ message }] };
}

async function answer(reply: FastifyReply, readMetrics: ReadMetrics): Promise<FastifyReply> {
  return reply.type(METRICS_TYPE).send(await readMetrics());
}
