import { defineEntity, PrimaryKeyProp, p } from '@mikro-orm/core';
import { UuidColumn } from './column-types.js';

/** How far the events of an account have deliveries of a webhook. */
export class WebhookCursor {
  declare [PrimaryKeyProp]?: ['webhookId', 'accountId'];
  readonly webhookId!: string;
  readonly accountId!: string;
  /** The first position in the account's history whose events have no deliveries yet: see transferPosition. */
  readonly position!: bigint;
}

export const WebhookCursorSchema = defineEntity({
  class: WebhookCursor,
  tableName: 'webhook_cursor',
  properties: {
    webhookId: p.type(UuidColumn).primary(),
    accountId: p.type(UuidColumn).primary(),
    position: p.bigint(),
  },
});
