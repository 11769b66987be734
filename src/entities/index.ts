import type { EntitySchema } from '@mikro-orm/core';
import { AccountSchema } from './account.entity.js';
import { ApiKeySchema } from './api-key.entity.js';
import { AuditEntrySchema } from './audit-entry.entity.js';
import { BulkTransferSchema } from './bulk-transfer.entity.js';
import { BulkTransferOrderSchema } from './bulk-transfer-order.entity.js';
import { DeadLetterSchema } from './dead-letter.entity.js';
import { IncomingTransferSchema } from './incoming-transfer.entity.js';
import { LedgerEntrySchema } from './ledger-entry.entity.js';
import { OrderRowSchema } from './order-row.entity.js';
import { OrderTransitionSchema } from './order-transition.entity.js';
import { OrganizationSchema } from './organization.entity.js';
import { OutboxMessageSchema } from './outbox-message.entity.js';
import { TransferSchema } from './transfer.entity.js';
import { WebhookSchema } from './webhook.entity.js';
import { WebhookAttemptSchema } from './webhook-attempt.entity.js';
import { WebhookCursorSchema } from './webhook-cursor.entity.js';
import { WebhookDeliverySchema } from './webhook-delivery.entity.js';

/** All entities, in the order in which their tables refer to each other. */
export const ENTITIES: EntitySchema[] = [
  OrganizationSchema,
  AccountSchema,
  BulkTransferSchema,
  TransferSchema,
  IncomingTransferSchema,
  LedgerEntrySchema,
  OutboxMessageSchema,
  DeadLetterSchema,
  ApiKeySchema,
  AuditEntrySchema,
  WebhookSchema,
  WebhookCursorSchema,
  WebhookDeliverySchema,
  WebhookAttemptSchema,
  BulkTransferOrderSchema,
  OrderRowSchema,
  OrderTransitionSchema,
];
