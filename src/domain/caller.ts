/** The caller of a request, and the rights of its roles. */

import { type CallerKind, ROLES, type Role } from './kinds.js';

/** Organizations of a caller that are listed. */
export const ORGANIZATIONS_LISTED_MAX = 100;

/** Organizations by id, or all there are. */
export type OrganizationScope = readonly string[] | 'all';

export interface Caller {
  readonly kind: CallerKind;
  /** Who it is, for the audit log: a token's subject, a key's prefix. */
  readonly name: string;
  readonly organizationIds: OrganizationScope;
  readonly roles: readonly Role[];
}

/** A request and who makes it. */
export interface Origin {
  readonly caller: Caller;
  readonly requestId: string;
  /** Where it came from. */
  readonly remoteAddress: string;
  /** Tells whether the client has disconnected or the request has timed out. */
  readonly isAbandoned?: () => boolean;
}

/** Whoever reaches a server without authentication: the embedded default, on loopback alone. */
export const DEVELOPER: Caller = {
  kind: 'development',
  name: 'developer',
  organizationIds: 'all',
  roles: ROLES,
};

/** A program of ours that runs beside the server. */
export const PROGRAM: Origin = {
  caller: { kind: 'program', name: 'virement', organizationIds: 'all', roles: ROLES },
  requestId: '',
  remoteAddress: '',
};

interface Rights {
  /** The accounts that the role reads: those of the caller's organizations, all, or none. */
  readonly accounts: 'own' | 'all' | 'none';
  /** Whether the role reads /metrics. */
  readonly metrics: boolean;
}

/** The rights of each role to read. The operator is the bank. MUTATIONS says which role each mutation takes. */
const RIGHTS: Readonly<Record<Role, Rights>> = {
  viewer: { accounts: 'own', metrics: false },
  initiator: { accounts: 'own', metrics: false },
  operator: { accounts: 'all', metrics: true },
  monitor: { accounts: 'none', metrics: true },
};

/** Returns the organizations whose accounts a caller sees. */
export function visibleOrganizations({ organizationIds, roles }: Caller): OrganizationScope {
  // A stored key may have a role of a later release, which has no rights here.
  const accounts = ROLES.filter((role) => roles.includes(role)).map(
    (role) => RIGHTS[role].accounts,
  );
  if (accounts.includes('all')) return 'all';
  return accounts.includes('own') ? organizationIds : [];
}

/** The roles that read /metrics. */
export const METRICS_ROLES: readonly Role[] = ROLES.filter((role) => RIGHTS[role].metrics);

/** Whether money of an organization's accounts is the caller's to send; an operator's own is none. */
export function mayDebit({ organizationIds }: Caller, organizationId: string): boolean {
  return organizationIds === 'all' || organizationIds.includes(organizationId);
}
