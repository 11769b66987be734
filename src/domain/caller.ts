/** The caller of a request, and the rights of its roles. */

import { type CallerKind, ROLES, type Role } from './kinds.js';

/** The largest number of a caller's organizations that is listed. */
export const ORGANIZATIONS_LISTED_MAX = 100;

/** Organizations by id, or all organizations. */
export type OrganizationScope = readonly string[] | 'all';

export interface Caller {
  readonly kind: CallerKind;
  /** The name of the caller in the audit log: the subject of a token, the prefix of a key. */
  readonly name: string;
  readonly organizationIds: OrganizationScope;
  readonly roles: readonly Role[];
}

/** A request and its caller. */
export interface RequestSource {
  readonly caller: Caller;
  readonly requestId: string;
  /** The network address of the client. */
  readonly remoteAddress: string;
  /** Tells whether the client has disconnected or the request has timed out. */
  readonly isAbandoned?: () => boolean;
}

/** The caller of a server without authentication. This is the embedded default, on loopback only. */
export const DEVELOPER: Caller = {
  kind: 'development',
  name: 'developer',
  organizationIds: 'all',
  roles: ROLES,
};

/** The source of our own programs that run next to the server. */
export const PROGRAM: RequestSource = {
  caller: { kind: 'program', name: 'virement', organizationIds: 'all', roles: ROLES },
  requestId: '',
  remoteAddress: '',
};

interface Rights {
  /** The accounts that the role reads: those of the caller's organizations, all, or none. */
  readonly accounts: 'own' | 'all' | 'none';
  /** Tells whether the role reads /metrics. */
  readonly metrics: boolean;
}

/** The read rights of each role. The operator is the bank. MUTATIONS lists the role that each mutation needs. */
const RIGHTS: Readonly<Record<Role, Rights>> = {
  viewer: { accounts: 'own', metrics: false },
  initiator: { accounts: 'own', metrics: false },
  operator: { accounts: 'all', metrics: true },
  monitor: { accounts: 'none', metrics: true },
};

/** Returns the organizations whose accounts a caller sees. */
export function visibleOrganizations({ organizationIds, roles }: Caller): OrganizationScope {
  // A stored key may have a role of a later release. This release gives that role no rights.
  const accounts = ROLES.filter((role) => roles.includes(role)).map(
    (role) => RIGHTS[role].accounts,
  );
  if (accounts.includes('all')) return 'all';
  return accounts.includes('own') ? organizationIds : [];
}

/** The roles that read accounts and export files. */
export const READERS: readonly Role[] = ROLES.filter((role) => RIGHTS[role].accounts !== 'none');

/** The roles that read /metrics. */
export const METRICS_ROLES: readonly Role[] = ROLES.filter((role) => RIGHTS[role].metrics);

/** Tells whether the caller may send money from an organization's accounts. The operator role gives no such right. */
export function mayDebit({ organizationIds }: Caller, organizationId: string): boolean {
  return organizationIds === 'all' || organizationIds.includes(organizationId);
}
