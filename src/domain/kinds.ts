/**
 * The closed sets of the program. Each set is listed here once. Every map of a set is a Record over its type, so a
 * new member without an entry does not compile. kinds.test.ts compares the sets with lists that the compiler does not
 * see, such as the schemas in docs/events.
 */

/**
 * Reasons why a balance changed. BULK_TRANSFER: the debit of one bulk. INCOMING_TRANSFER: money from outside.
 * BOOK_TRANSFER: money from another account of this server.
 */
export const LEDGER_ENTRY_KINDS = ['BULK_TRANSFER', 'INCOMING_TRANSFER', 'BOOK_TRANSFER'] as const;

export type LedgerEntryKind = (typeof LEDGER_ENTRY_KINDS)[number];

/** The events about entries of the ledger, which webhooks receive too. */
export const LEDGER_EVENT_KINDS = [
  'bulk-transfer.performed',
  'transfer.performed',
  'account.credited',
  'transfer.received',
] as const;

export type LedgerEventKind = (typeof LEDGER_EVENT_KINDS)[number];

/** The events that consumers receive. Their CloudEvents type is `virement.KIND.v1`. */
export const EVENT_KINDS = [...LEDGER_EVENT_KINDS, 'order.changed'] as const;

export type EventKind = (typeof EVENT_KINDS)[number];

/** The events that have an outbox message. The other events are made from a bulk, whose message represents them. */
export const OUTBOX_MESSAGE_TYPES = [
  'bulk-transfer.performed',
  'account.credited',
  'order.changed',
] as const satisfies readonly EventKind[];

export type OutboxMessageType = (typeof OUTBOX_MESSAGE_TYPES)[number];

/** The kinds of things that an outbox message is about. Messages about one thing are published in order. */
export type OutboxSubject = 'account' | 'order';

export const OUTBOX_SUBJECTS: Readonly<Record<OutboxMessageType, OutboxSubject>> = {
  'bulk-transfer.performed': 'account',
  'account.credited': 'account',
  'order.changed': 'order',
};

/** The states of a webhook. A disabled webhook is not called, and continues where it stopped when it is enabled. */
export const WEBHOOK_STATUSES = ['ENABLED', 'DISABLED'] as const;

export type WebhookStatus = (typeof WEBHOOK_STATUSES)[number];

/** The states of a delivery. PENDING: an attempt is due, now or later. FAILED: no further attempt is made. */
export const DELIVERY_STATUSES = ['PENDING', 'DELIVERED', 'FAILED'] as const;

export type DeliveryStatus = (typeof DELIVERY_STATUSES)[number];

/**
 * The states of a bulk transfer order. DRAFT: its rows may change. SUBMITTED: a server performs it, now or soon. FAILED:
 * it was refused as a whole, and may be submitted again. EXPIRED: nobody changed it for the retention. domain/order.ts
 * has the transitions.
 */
export const ORDER_STATUSES = [
  'DRAFT',
  'SUBMITTED',
  'PERFORMED',
  'FAILED',
  'CANCELLED',
  'EXPIRED',
] as const;

export type OrderStatus = (typeof ORDER_STATUSES)[number];

/** The origins of the rows of an order. */
export const ORDER_SOURCES = ['API', 'CSV', 'PAIN_001'] as const;

export type OrderSource = (typeof ORDER_SOURCES)[number];

/** The phases of the work on an order. DONE: no server works on it until somebody changes or submits it. */
export const ORDER_PHASES = ['READING', 'CHECKING', 'WAITING', 'WRITING', 'DONE'] as const;

export type OrderPhase = (typeof ORDER_PHASES)[number];

/** The rules of banks by which rows of orders are judged, beside those of this server. */
export const BANK_RULES = ['none', 'sepa'] as const;

export type BankRules = (typeof BANK_RULES)[number];

/** The kinds of files that are exported. domain/export.ts has the subjects and the format of each. */
export const EXPORT_KINDS = [
  'STATEMENT_CAMT_053',
  'STATEMENT_CSV',
  'STATUS_PAIN_002',
  'TRANSFERS_CSV',
  'RECEIPT_HTML',
] as const;

export type ExportKind = (typeof EXPORT_KINDS)[number];

/** The roles of a caller. caller.ts and mutations.ts define the rights of each role. */
export const ROLES = ['viewer', 'initiator', 'operator', 'monitor'] as const;

export type Role = (typeof ROLES)[number];

/** The ways in which a caller proves its identity. */
export const CALLER_KINDS = ['token', 'api-key', 'development', 'program'] as const;

export type CallerKind = (typeof CALLER_KINDS)[number];

/** The mutations of the API, which are also the actions of the audit log. */
export const MUTATION_NAMES = [
  'performBulkTransfer',
  'openAccount',
  'creditAccount',
  'createApiKey',
  'revokeApiKey',
  'retryOutboxMessage',
  'replayDeadLetters',
  'discardDeadLetters',
  'registerWebhook',
  'updateWebhook',
  'rotateWebhookSecret',
  'enableWebhook',
  'disableWebhook',
  'deleteWebhook',
  'sendTestEvent',
  'redeliver',
  'redeliverSince',
  'createOrder',
  'addOrderRows',
  'replaceOrderRow',
  'removeOrderRows',
  'submitOrder',
  'cancelOrder',
  'duplicateOrder',
  'importOrder',
  'createExport',
] as const;

export type MutationName = (typeof MUTATION_NAMES)[number];

/** The actions of the audit log: the mutations, and what the server does with an order afterwards. */
export const AUDITED_ACTIONS = [...MUTATION_NAMES, 'performOrder', 'expireOrder'] as const;

export type AuditedAction = (typeof AUDITED_ACTIONS)[number];

/** The business outcomes that are members of a mutation's union. */
export const REJECTION_CODES = [
  'INVALID_BULK_TRANSFER',
  'INSUFFICIENT_FUNDS',
  'ACCOUNT_NOT_FOUND',
  'IDEMPOTENCY_KEY_REUSED',
  'ACCOUNT_BUSY',
  'ACCOUNT_EXISTS',
  'INVALID_INPUT',
  'WEBHOOK_NOT_FOUND',
  'ORDER_NOT_FOUND',
  'ORDER_STATE_CONFLICT',
] as const;

export type RejectionCode = (typeof REJECTION_CODES)[number];

/**
 * The outcomes of a mutation in the audit log: DONE; REPLAYED, if its key was used for the same request before;
 * NOT_FOUND; UNKNOWN, if nobody can tell whether the mutation was committed; or the reason of the refusal.
 */
export const AUDITED_OUTCOMES = [
  'DONE',
  'REPLAYED',
  'NOT_FOUND',
  'FORBIDDEN',
  'BAD_USER_INPUT',
  'ABANDONED',
  'UNKNOWN',
  ...REJECTION_CODES,
] as const;

export type AuditedOutcomeCode = (typeof AUDITED_OUTCOMES)[number];
