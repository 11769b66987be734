import { READERS } from './caller.js';
import { DomainError, type Rejection } from './errors.js';
import type { MutationName, RejectionCode, Role } from './kinds.js';

interface MutationRules {
  /** The role that the caller needs, or the roles of which one is enough. */
  readonly role: Role | readonly Role[];
  /** The rejections that the mutation may answer. Its union in the schema has a type for each of them. */
  readonly rejections: readonly RejectionCode[];
}

/** All mutations of orders answer the same union. */
const ORDER_REJECTIONS = [
  'INVALID_INPUT',
  'ACCOUNT_NOT_FOUND',
  'ORDER_NOT_FOUND',
  'ORDER_STATE_CONFLICT',
] as const satisfies readonly RejectionCode[];

export const MUTATIONS = {
  performBulkTransfer: {
    role: 'initiator',
    rejections: [
      'INVALID_BULK_TRANSFER',
      'INSUFFICIENT_FUNDS',
      'ACCOUNT_NOT_FOUND',
      'IDEMPOTENCY_KEY_REUSED',
      'ACCOUNT_BUSY',
    ],
  },
  openAccount: {
    role: 'operator',
    rejections: ['INVALID_INPUT', 'ACCOUNT_EXISTS', 'ACCOUNT_BUSY'],
  },
  creditAccount: {
    role: 'operator',
    rejections: ['INVALID_INPUT', 'ACCOUNT_NOT_FOUND', 'IDEMPOTENCY_KEY_REUSED', 'ACCOUNT_BUSY'],
  },
  createApiKey: { role: 'operator', rejections: ['INVALID_INPUT'] },
  revokeApiKey: { role: 'operator', rejections: [] },
  retryOutboxMessage: { role: 'operator', rejections: [] },
  replayDeadLetters: { role: 'operator', rejections: [] },
  discardDeadLetters: { role: 'operator', rejections: [] },
  registerWebhook: { role: 'initiator', rejections: ['INVALID_INPUT'] },
  updateWebhook: { role: 'initiator', rejections: ['INVALID_INPUT', 'WEBHOOK_NOT_FOUND'] },
  rotateWebhookSecret: { role: 'initiator', rejections: ['WEBHOOK_NOT_FOUND'] },
  enableWebhook: { role: 'initiator', rejections: ['INVALID_INPUT', 'WEBHOOK_NOT_FOUND'] },
  disableWebhook: { role: 'initiator', rejections: ['INVALID_INPUT', 'WEBHOOK_NOT_FOUND'] },
  deleteWebhook: { role: 'initiator', rejections: ['INVALID_INPUT', 'WEBHOOK_NOT_FOUND'] },
  sendTestEvent: { role: 'initiator', rejections: ['INVALID_INPUT', 'WEBHOOK_NOT_FOUND'] },
  redeliver: { role: 'initiator', rejections: ['INVALID_INPUT', 'WEBHOOK_NOT_FOUND'] },
  redeliverSince: { role: 'initiator', rejections: ['INVALID_INPUT', 'WEBHOOK_NOT_FOUND'] },
  createOrder: { role: 'initiator', rejections: ORDER_REJECTIONS },
  addOrderRows: { role: 'initiator', rejections: ORDER_REJECTIONS },
  replaceOrderRow: { role: 'initiator', rejections: ORDER_REJECTIONS },
  removeOrderRows: { role: 'initiator', rejections: ORDER_REJECTIONS },
  submitOrder: { role: 'initiator', rejections: ORDER_REJECTIONS },
  cancelOrder: { role: 'initiator', rejections: ORDER_REJECTIONS },
  duplicateOrder: { role: 'initiator', rejections: ORDER_REJECTIONS },
  importOrder: { role: 'initiator', rejections: ['INVALID_INPUT', 'ACCOUNT_NOT_FOUND'] },
  createExport: {
    role: READERS,
    rejections: ['INVALID_INPUT', 'ACCOUNT_NOT_FOUND', 'ORDER_NOT_FOUND'],
  },
} as const satisfies Readonly<Record<MutationName, MutationRules>>;

/** Returns the roles of which the caller of a mutation needs one. */
export function rolesFor(mutation: MutationName): readonly Role[] {
  return [MUTATIONS[mutation].role].flat();
}

/** The codes that a mutation may answer. */
export type RejectionCodeOf<Name extends MutationName> =
  (typeof MUTATIONS)[Name]['rejections'][number];

/** The rejections that a mutation may answer. */
export type RejectionOf<Name extends MutationName> = Rejection & Rejection<RejectionCodeOf<Name>>;

/** Makes the error that rejects a mutation. A code that the mutation may not answer does not compile. */
export function rejected<Name extends MutationName>(
  _mutation: Name,
  rejection: RejectionOf<Name>,
): DomainError {
  return new DomainError(rejection);
}

/** Tells whether a mutation may answer a rejection. */
export function mayAnswer<Name extends MutationName>(
  mutation: Name,
  rejection: Rejection,
): rejection is RejectionOf<Name> {
  const codes: readonly RejectionCode[] = MUTATIONS[mutation].rejections;
  return codes.includes(rejection.code);
}
