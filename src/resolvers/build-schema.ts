import 'reflect-metadata';
import type { GraphQLSchema } from 'graphql';
import { buildSchemaSync, type ContainerType } from 'type-graphql';
import { AccountExistsResolver, AccountResolver, StatementResolver } from './account.resolver.js';
import { ApiKeyResolver } from './api-key.resolver.js';
import { AuditResolver } from './audit.resolver.js';
import { BulkTransferResolver, IdempotencyKeyReusedResolver } from './bulk-transfer.resolver.js';
import { DeadLetterResolver } from './dead-letter.resolver.js';
import { ExportResolver } from './export.resolver.js';
import { ImportResolver } from './import.resolver.js';
import { IncomingTransferResolver } from './incoming-transfer.resolver.js';
import { LedgerEntryResolver } from './ledger-entry.resolver.js';
import { NodeResolver } from './node.resolver.js';
import {
  OrderResolver,
  OrderStateConflictResolver,
  OrderWarningResolver,
} from './order.resolver.js';
import { MeResolver, OrganizationResolver } from './organization.resolver.js';
import { OutboxMessageResolver, OutboxResolver } from './outbox.resolver.js';
import { SubscriptionResolver } from './subscription.resolver.js';
import { TransferResolver } from './transfer.resolver.js';
import {
  PerformedWarningsResolver,
  TransferWarningResolver,
  ValidationWarningsResolver,
} from './transfer-warning.resolver.js';
import { WebhookDeliveryResolver, WebhookResolver } from './webhook.resolver.js';

/**
 * Builds the executable schema.
 * @param container gives the instance of each resolver class
 */
export function buildSchema(container: ContainerType): GraphQLSchema {
  return buildSchemaSync({
    resolvers: [
      AccountResolver,
      StatementResolver,
      AccountExistsResolver,
      BulkTransferResolver,
      IdempotencyKeyReusedResolver,
      PerformedWarningsResolver,
      ValidationWarningsResolver,
      TransferWarningResolver,
      TransferResolver,
      IncomingTransferResolver,
      LedgerEntryResolver,
      NodeResolver,
      MeResolver,
      OrganizationResolver,
      SubscriptionResolver,
      OrderResolver,
      OrderStateConflictResolver,
      OrderWarningResolver,
      ExportResolver,
      ImportResolver,
      OutboxResolver,
      OutboxMessageResolver,
      DeadLetterResolver,
      WebhookResolver,
      WebhookDeliveryResolver,
      ApiKeyResolver,
      AuditResolver,
    ],
    container,
    // The check runs an introspection query, which takes 50 ms at each start. Apollo Server refuses an invalid schema
    // itself.
    skipCheck: true,
    // type-graphql requires a pubSub object. Every subscription here has its own stream.
    pubSub: { publish: notUsed, subscribe: notUsed },
    // The rules of the domain judge the inputs and name every row. class-validator names no rows.
    validate: false,
  });
}

function notUsed(): never {
  throw new Error('Subscriptions follow an account: see application/follow-account.ts');
}
