/** The migrations of MySQL and MariaDB, in the order in which they run. */
import CreateLedger from './20261127180000_create_ledger.js';
import CreateDeadLetter from './20261128010000_create_dead_letter.js';
import AddAuditEntryReason from './20261128011000_add_audit_entry_reason.js';
import CreateWebhook from './20261128040000_create_webhook.js';
import AddApiKeyExpiry from './20261128130000_add_api_key_expiry.js';
import CreateOrder from './20261128160000_create_order.js';

export const MIGRATIONS = [
  { name: '20261127180000_create_ledger', class: CreateLedger },
  { name: '20261128010000_create_dead_letter', class: CreateDeadLetter },
  { name: '20261128011000_add_audit_entry_reason', class: AddAuditEntryReason },
  { name: '20261128040000_create_webhook', class: CreateWebhook },
  { name: '20261128130000_add_api_key_expiry', class: AddApiKeyExpiry },
  { name: '20261128160000_create_order', class: CreateOrder },
];
