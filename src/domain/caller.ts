/** Who asks, and what they may do. */

/**
 * viewer: reads. initiator: also performs bulks. operator, the bank: opens and credits accounts, sees
 * every account, and looks after keys, the audit log and what could not be published. monitor: reads
 * metrics, and nothing of the ledger.
 */
export const ROLES = ['viewer', 'initiator', 'operator', 'monitor'] as const;

export type Role = (typeof ROLES)[number];

/** Organizations of a caller that are listed. */
export const ORGANIZATIONS_LISTED_MAX = 100;

/** Organizations by id, or all there are. */
export type OrganizationScope = readonly string[] | 'all';

export type CallerKind = 'token' | 'api-key' | 'development' | 'program';

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

/** Roles that read the accounts of their organizations. */
const READING_ROLES: readonly Role[] = ['viewer', 'initiator'];

/** Organizations of which a caller sees the accounts: an operator is the bank, and sees all; who has no reading role, none. */
export function visibleOrganizations({ organizationIds, roles }: Caller): OrganizationScope {
  if (roles.includes('operator')) return 'all';
  return roles.some((role) => READING_ROLES.includes(role)) ? organizationIds : [];
}

/** Whether money of an organization's accounts is the caller's to send; an operator's own is none. */
export function mayDebit({ organizationIds }: Caller, organizationId: string): boolean {
  return organizationIds === 'all' || organizationIds.includes(organizationId);
}
