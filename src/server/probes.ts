/**
 * What a supervisor and a load balancer ask, without saying who they are:
 *
 *   /livez, /healthz   the process answers; nothing else is looked at, for a restart mends nothing else
 *   /readyz            bulks can be taken: 200, also where a part is degraded; else 503
 *
 * Events of bulks wait in the outbox while the broker is away, so the broker keeps no bulk out.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyInstance } from 'fastify';
import {
  OK,
  type PartState,
  type PartStatus,
  partStateOf,
  worstOf,
} from '../infrastructure/observability/part-state.js';

/** What the server works with. */
export interface ProbePorts {
  /** Many calls at once cost one look at the database. */
  readonly probeDatabase: () => Promise<PartState>;
  /** Whether events can be published now. */
  readonly isBrokerReady: () => boolean;
  /** Whether the relay has claimed all that is due. */
  readonly isRelayCaughtUp: () => boolean;
}

/** A database that hangs does not answer. */
const PROBE_TIMEOUT_MS = 2_000;

type PartName = 'server' | 'database' | 'broker' | 'relay';

/** The faults that are found here, and what each means for bulks. */
const FAULTS = {
  STOPPING: 'unavailable',
  UNREACHABLE: 'degraded',
  BACKLOG: 'degraded',
  TIMEOUT: 'unavailable',
} as const satisfies Record<string, PartStatus>;

function stateFor(fault: keyof typeof FAULTS, hasFault: boolean): PartState {
  return partStateOf(hasFault ? [fault] : [], FAULTS);
}

/** Answers the probes. What /readyz finds is nobody's secret. */
export function answerProbes(app: FastifyInstance, ports: ProbePorts): void {
  let isStopping = false;
  app.addHook('preClose', async () => {
    isStopping = true;
  });
  for (const path of ['/livez', '/healthz']) app.get(path, async () => OK);
  app.get('/readyz', async (_, reply) => {
    const parts: Readonly<Record<PartName, PartState>> = {
      server: stateFor('STOPPING', isStopping),
      database: await inTime(ports.probeDatabase),
      broker: stateFor('UNREACHABLE', !ports.isBrokerReady()),
      relay: stateFor('BACKLOG', !ports.isRelayCaughtUp()),
    };
    const status = worstOf(Object.values(parts).map((part) => part.status));
    return reply.code(status === 'unavailable' ? 503 : 200).send({ status, parts });
  });
}

async function inTime(probe: () => Promise<PartState>): Promise<PartState> {
  const timeout = new AbortController();
  const { signal } = timeout;
  const late = sleep(PROBE_TIMEOUT_MS, stateFor('TIMEOUT', true), { signal }).catch(() => OK);
  try {
    return await Promise.race([probe(), late]);
  } finally {
    timeout.abort();
  }
}
