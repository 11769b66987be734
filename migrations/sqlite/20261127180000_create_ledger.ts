import { Migration } from '@mikro-orm/migrations';

/**
 * Joins a statement to one line. SQLite keeps a statement as written, and MikroORM finds the checks of a table in it
 * line by line.
 */
const oneLine = (sql: TemplateStringsArray) => sql.join('').replace(/\s+/g, ' ');

/**
 * Creates the ledger, its outbox, the audit log and the API keys. Tables without rowid store their rows in the order of
 * the primary key, in one tree instead of two. The accounts have a rowid: without it, SQLite sorts every list that it
 * limits to the accounts of an organization.
 */
export default class CreateLedger extends Migration {
  override up(): void {
    this.addSql(oneLine`create table \`organization\` (
      \`id\` binary(16) not null,
      \`name\` text not null,
      \`created_at\` datetime not null,
      primary key (\`id\`)
    ) without rowid`);
    this.addSql(oneLine`create table \`account\` (
      \`id\` binary(16) not null,
      \`short_id\` integer not null,
      \`organization_id\` binary(16) not null,
      \`organization_name\` text not null,
      \`iban\` text not null,
      \`bic\` text not null,
      \`currency\` text not null,
      \`balance_minor\` bigint not null,
      \`sequence\` bigint not null,
      \`created_at\` datetime not null,
      \`updated_at\` datetime not null,
      primary key (\`id\`),
      constraint \`account_balance_minor_check\` check (balance_minor between 0 and 9007199254740991)
    )`);
    this.addSql('create unique index `account_short_id_unique` on `account` (`short_id`)');
    this.addSql('create unique index `account_iban_unique` on `account` (`iban`)');
    this.addSql('create index `account_organization_id_index` on `account` (`organization_id`)');
    this.addSql(oneLine`create table \`bulk_transfer\` (
      \`id\` binary(16) not null,
      \`account_id\` binary(16) not null,
      \`sequence\` bigint not null,
      \`idempotency_key\` varbinary(255) null,
      \`fingerprint\` text null,
      \`transfer_count\` integer not null,
      \`currency\` text not null,
      \`total_amount_minor\` bigint not null,
      \`balance_after_minor\` bigint not null,
      \`created_at\` datetime not null,
      primary key (\`id\`),
      constraint \`bulk_transfer_account_id_foreign\` foreign key (\`account_id\`) references \`account\` (\`id\`),
      constraint \`bulk_transfer_total_amount_minor_check\` check (total_amount_minor between 1 and 9007199254740991)
    ) without rowid`);
    this.addSql(
      'create unique index `bulk_transfer_sequence_unique` on `bulk_transfer` (`account_id`, `sequence`)',
    );
    this.addSql(
      'create unique index `bulk_transfer_idempotency_key_unique` on `bulk_transfer` (`account_id`, `idempotency_key`)',
    );
    this.addSql(oneLine`create table \`transfer\` (
      \`account_id\` binary(16) not null,
      \`position\` bigint not null,
      \`amount_minor\` bigint not null,
      \`counterparty_name\` text not null,
      \`counterparty_name_folded\` varbinary(1680) not null,
      \`counterparty_iban\` text not null,
      \`counterparty_bic\` text null,
      \`counterparty_account_id\` binary(16) null,
      \`description\` text not null,
      \`end_to_end_id\` varbinary(140) null,
      primary key (\`account_id\`, \`position\`),
      constraint \`transfer_amount_minor_check\` check (amount_minor between 1 and 9007199254740991)
    ) without rowid`);
    this.addSql(oneLine`create table \`incoming_transfer\` (
      \`account_id\` binary(16) not null,
      \`position\` bigint not null,
      \`payer_account_id\` binary(16) not null,
      \`payer_position\` bigint not null,
      \`currency\` text not null,
      \`amount_minor\` bigint not null,
      \`counterparty_name\` text not null,
      \`counterparty_name_folded\` varbinary(1680) not null,
      \`counterparty_iban\` text not null,
      \`description\` text not null,
      \`end_to_end_id\` varbinary(140) null,
      \`created_at\` datetime not null,
      primary key (\`account_id\`, \`position\`),
      constraint \`incoming_transfer_account_id_foreign\` foreign key (\`account_id\`) references \`account\` (\`id\`),
      constraint \`incoming_transfer_payer_account_id_foreign\` foreign key (\`payer_account_id\`) references \`account\` (\`id\`),
      constraint \`incoming_transfer_amount_minor_check\` check (amount_minor between 1 and 9007199254740991)
    ) without rowid`);
    this.addSql(
      'create unique index `incoming_transfer_payer_position_unique` on `incoming_transfer` (`payer_account_id`, `payer_position`)',
    );
    this.addSql(oneLine`create table \`ledger_entry\` (
      \`id\` binary(16) not null,
      \`account_id\` binary(16) not null,
      \`sequence\` bigint not null,
      \`kind\` text not null,
      \`currency\` text not null,
      \`amount_minor\` bigint not null,
      \`balance_after_minor\` bigint not null,
      \`bulk_transfer_id\` binary(16) null,
      \`idempotency_key\` varbinary(255) null,
      \`fingerprint\` text null,
      \`description\` text not null,
      \`created_at\` datetime not null,
      primary key (\`id\`),
      constraint \`ledger_entry_account_id_foreign\` foreign key (\`account_id\`) references \`account\` (\`id\`),
      constraint \`ledger_entry_bulk_transfer_id_foreign\` foreign key (\`bulk_transfer_id\`) references \`bulk_transfer\` (\`id\`) on delete no action,
      constraint \`ledger_entry_amount_minor_check\` check (amount_minor between -9007199254740991 and 9007199254740991),
      constraint \`ledger_entry_balance_after_minor_check\` check (balance_after_minor between 0 and 9007199254740991)
    ) without rowid`);
    this.addSql(
      'create unique index `ledger_entry_sequence_unique` on `ledger_entry` (`account_id`, `sequence`)',
    );
    this.addSql(
      'create unique index `ledger_entry_idempotency_key_unique` on `ledger_entry` (`account_id`, `idempotency_key`)',
    );
    this.addSql(
      'create index `ledger_entry_bulk_transfer_id_index` on `ledger_entry` (`bulk_transfer_id`)',
    );
    this.addSql(
      'create index `ledger_entry_created_at_index` on `ledger_entry` (`account_id`, `created_at`, `sequence`)',
    );
    this.addSql(oneLine`create table \`outbox_message\` (
      \`id\` binary(16) not null,
      \`type\` text not null,
      \`subject_id\` binary(16) not null,
      \`sequence\` bigint not null,
      \`created_at\` datetime not null,
      \`due_at\` datetime null,
      \`attempts\` integer not null default 0,
      \`published_at\` datetime null,
      \`parked_at\` datetime null,
      \`last_error\` text null,
      \`leased_by\` binary(16) null,
      \`traceparent\` text null,
      primary key (\`id\`)
    ) without rowid`);
    this.addSql(
      'create unique index `outbox_message_sequence_unique` on `outbox_message` (`subject_id`, `sequence`)',
    );
    this.addSql('create index `outbox_message_due_at_index` on `outbox_message` (`due_at`, `id`)');
    this.addSql(
      'create index `outbox_message_published_at_index` on `outbox_message` (`published_at`)',
    );
    this.addSql('create index `outbox_message_parked_at_index` on `outbox_message` (`parked_at`)');
    this.addSql(oneLine`create table \`api_key\` (
      \`id\` binary(16) not null,
      \`prefix\` text not null,
      \`secret_hash\` text not null,
      \`name\` text not null,
      \`organization_ids\` text not null,
      \`roles\` text not null,
      \`created_at\` datetime not null,
      \`created_by\` text not null,
      \`revoked_at\` datetime null,
      primary key (\`id\`)
    ) without rowid`);
    this.addSql('create unique index `api_key_prefix_unique` on `api_key` (`prefix`)');
    this.addSql(oneLine`create table \`audit_entry\` (
      \`id\` binary(16) not null,
      \`at\` datetime not null,
      \`action\` text not null,
      \`outcome\` text not null,
      \`actor\` text not null,
      \`actor_kind\` text not null,
      \`remote_address\` text not null,
      \`request_id\` text not null,
      \`account_id\` binary(16) null,
      \`subject_id\` binary(16) null,
      primary key (\`id\`)
    ) without rowid`);
    this.addSql(
      'create index `audit_entry_account_id_index` on `audit_entry` (`account_id`, `id`)',
    );
  }

  override down(): void {
    this.addSql('drop table `audit_entry`');
    this.addSql('drop table `api_key`');
    this.addSql('drop table `outbox_message`');
    this.addSql('drop table `ledger_entry`');
    this.addSql('drop table `incoming_transfer`');
    this.addSql('drop table `transfer`');
    this.addSql('drop table `bulk_transfer`');
    this.addSql('drop table `account`');
    this.addSql('drop table `organization`');
  }
}
