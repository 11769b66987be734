import type { EntitySchema } from '@mikro-orm/core';
import { expect, test } from 'vitest';
import {
  AUDITED_ACTIONS,
  AUDITED_OUTCOMES,
  CALLER_KINDS,
  DELIVERY_STATUSES,
  LEDGER_ENTRY_KINDS,
  LEDGER_EVENT_KINDS,
  OUTBOX_MESSAGE_TYPES,
  ROLES,
  WEBHOOK_STATUSES,
} from '../domain/kinds.js';
import { ApiKeySchema } from './api-key.entity.js';
import { AuditEntrySchema } from './audit-entry.entity.js';
import { LedgerEntrySchema } from './ledger-entry.entity.js';
import { OutboxMessageSchema } from './outbox-message.entity.js';
import { WebhookSchema } from './webhook.entity.js';
import { WebhookDeliverySchema } from './webhook-delivery.entity.js';

const COLUMNS: readonly (readonly [EntitySchema, string, readonly string[]])[] = [
  [LedgerEntrySchema, 'kind', LEDGER_ENTRY_KINDS],
  [OutboxMessageSchema, 'type', OUTBOX_MESSAGE_TYPES],
  [AuditEntrySchema, 'action', AUDITED_ACTIONS],
  [AuditEntrySchema, 'outcome', AUDITED_OUTCOMES],
  [AuditEntrySchema, 'actorKind', CALLER_KINDS],
  // One column holds all roles, with commas between them.
  [ApiKeySchema, 'roles', [ROLES.join(',')]],
  [WebhookSchema, 'events', [LEDGER_EVENT_KINDS.join(',')]],
  [WebhookSchema, 'status', WEBHOOK_STATUSES],
  [WebhookDeliverySchema, 'kind', LEDGER_EVENT_KINDS],
  [WebhookDeliverySchema, 'status', DELIVERY_STATUSES],
];

test.each(COLUMNS)('every kind fits its column: $0.meta.tableName.$1', (schema, name, kinds) => {
  const { length = 0 } = schema.meta.properties[name] ?? {};
  const longest = Math.max(...kinds.map((kind) => kind.length));

  expect(length).toBeGreaterThanOrEqual(longest);
});
