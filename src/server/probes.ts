/**
 * The probes for a supervisor and a load balancer, without authentication:
 *
 *   /livez, /healthz   the process answers; nothing else is checked, because a restart would fix nothing else
 *   /readyz            bulks can be accepted: 200, also if a part is degraded; else 503
 *
 * Events of bulks wait in the outbox while the broker is disconnected, so a missing broker does not stop bulks. Neither
 * do search tables that cannot be used: filters find transfers after them in the ledger, or are answered UNAVAILABLE.
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

/** The parts of the server that the probes check. */
export interface ProbePorts {
  /** Returns the state of the database. Many calls at once share one check. */
  readonly probeDatabase: () => Promise<PartState>;
  /** Tells whether events can be published now. */
  readonly isBrokerReady: () => boolean;
  /** Tells whether the relay has claimed all due messages. */
  readonly isRelayCaughtUp: () => boolean;
  /** Tells whether the search tables can be used and are updated. */
  readonly isSearchReady: () => boolean;
}

/** The time after which a database that hangs counts as unreachable. */
const PROBE_TIMEOUT_MS = 2_000;

type PartName = 'server' | 'database' | 'broker' | 'relay' | 'search';

/** The faults that the probes find, and the status that each gives. */
const FAULTS = {
  STOPPING: 'unavailable',
  UNREACHABLE: 'degraded',
  BACKLOG: 'degraded',
  NOT_UPDATED: 'degraded',
  TIMEOUT: 'unavailable',
} as const satisfies Record<string, PartStatus>;

function stateFor(fault: keyof typeof FAULTS, hasFault: boolean): PartState {
  return partStateOf(hasFault ? [fault] : [], FAULTS);
}

/** Answers the probes. The result of /readyz contains no secrets. */
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
      search: stateFor('NOT_UPDATED', !ports.isSearchReady()),
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
