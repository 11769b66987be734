/** The tables that the server writes to, for the check that the database has them and allows the writes. */
import type { MikroORM } from '@mikro-orm/sql';
import { Account } from '../../entities/account.entity.js';
import { ApiKey } from '../../entities/api-key.entity.js';
import { BulkTransferOrder } from '../../entities/bulk-transfer-order.entity.js';
import { DeadLetter } from '../../entities/dead-letter.entity.js';
import { OrderRow } from '../../entities/order-row.entity.js';
import { OutboxMessage } from '../../entities/outbox-message.entity.js';
import { Webhook } from '../../entities/webhook.entity.js';
import { WebhookAttempt } from '../../entities/webhook-attempt.entity.js';
import { WebhookCursor } from '../../entities/webhook-cursor.entity.js';
import { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';

/** Properties that the server updates, by entity; the rows of all other entities are only appended. */
const UPDATED: ReadonlyMap<unknown, readonly string[]> = new Map<unknown, readonly string[]>([
  [Account, ['balanceMinor', 'sequence', 'updatedAt'] satisfies (keyof Account)[]],
  [ApiKey, ['revokedAt', 'lastUsedAt'] satisfies (keyof ApiKey)[]],
  [
    OutboxMessage,
    [
      'dueAt',
      'leasedBy',
      'attempts',
      'publishedAt',
      'parkedAt',
      'lastError',
    ] satisfies (keyof OutboxMessage)[],
  ],
  [
    DeadLetter,
    [
      'type',
      'reason',
      'attempts',
      'lastError',
      'firstFailedAt',
      'lastFailedAt',
      'receivedAt',
      'arrivals',
      'payload',
    ] satisfies (keyof DeadLetter)[],
  ],
  [
    Webhook,
    [
      'slot',
      'url',
      'events',
      'accountIbans',
      'description',
      'status',
      'disabledReason',
      'secret',
      'previousSecret',
      'previousSecretEndsAt',
      'lastDeliveredAt',
      'failingSince',
      'deletedAt',
    ] satisfies (keyof Webhook)[],
  ],
  [
    BulkTransferOrder,
    [
      'status',
      'importKey',
      'rowCount',
      'problemCount',
      'unreadableRows',
      'totalAmountMinor',
      'keptRows',
      'idempotencyKey',
      'bulkRowsMax',
      'transitionCount',
      'performedBulks',
      'failureJson',
      'submittedBy',
      'submittedByKind',
      'requestId',
      'remoteAddress',
      'createdAt',
      'changedAt',
      'submittedAt',
      'performedAt',
      'expiresAt',
      'phase',
      'rowsDone',
      'leasedBy',
      'leasedUntil',
    ] satisfies (keyof BulkTransferOrder)[],
  ],
  [OrderRow, ['isDuplicate', 'hasProblems'] satisfies (keyof OrderRow)[]],
  [WebhookCursor, ['position'] satisfies (keyof WebhookCursor)[]],
  [
    WebhookDelivery,
    [
      'status',
      'attempts',
      'failures',
      'dueAt',
      'leasedBy',
      'leasedAt',
      'endedAt',
    ] satisfies (keyof WebhookDelivery)[],
  ],
]);

/** Entities whose rows are deleted. */
const PRUNED: readonly unknown[] = [
  OutboxMessage,
  DeadLetter,
  Webhook,
  WebhookCursor,
  WebhookDelivery,
  WebhookAttempt,
  BulkTransferOrder,
  OrderRow,
];

export interface WrittenTable {
  /** The name, quoted in a form that every dialect accepts. */
  readonly table: string;
  readonly columns: readonly string[];
  /** The columns that the server updates. A privilege on these columns is sufficient. */
  readonly updatedColumns: readonly string[];
  readonly isPruned: boolean;
}

export function writtenTablesOf(orm: MikroORM): readonly WrittenTable[] {
  return [...orm.getMetadata().getAll().values()].map(({ class: entity, tableName, props }) => {
    const persisted = props.filter(({ persist }) => persist !== false);
    const updated = UPDATED.get(entity) ?? [];
    return {
      table: quoted(tableName),
      columns: persisted.flatMap(columnsOf),
      updatedColumns: persisted.filter(({ name }) => updated.includes(name)).flatMap(columnsOf),
      isPruned: PRUNED.includes(entity),
    };
  });
}

function columnsOf({ fieldNames = [] }: { readonly fieldNames?: readonly string[] }): string[] {
  return fieldNames.map(quoted);
}

function quoted(name: string): string {
  return `\`${name}\``;
}
