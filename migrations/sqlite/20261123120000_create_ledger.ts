import { Migration } from '@mikro-orm/migrations';

/**
 * Joins a statement to one line. SQLite keeps a statement as written, and MikroORM finds the checks of a table in it
 * line by line.
 */
const oneLine = (sql: TemplateStringsArray) => sql.join('').replace(/\s+/g, ' ');

/** Creates the ledger: accounts, bulks, their transfers, the ledger entries and the outbox. */
export default class CreateLedger extends Migration {
  override up(): void {
    this.addSql(oneLine`create table \`account\` (
      \`id\` binary(16) not null primary key,
      \`organization_id\` binary(16) not null,
      \`organization_name\` text not null,
      \`iban\` text not null,
      \`bic\` text not null,
      \`currency\` text not null,
      \`balance_minor\` bigint not null,
      \`sequence\` bigint not null,
      \`created_at\` datetime not null,
      \`updated_at\` datetime not null,
      constraint \`account_balance_minor_check\` check (balance_minor between 0 and 9007199254740991)
    )`);
    this.addSql('create unique index `account_iban_unique` on `account` (`iban`)');
    this.addSql('create index `account_organization_id_index` on `account` (`organization_id`)');
    this.addSql(oneLine`create table \`bulk_transfer\` (
      \`id\` binary(16) not null primary key,
      \`account_id\` binary(16) not null,
      \`sequence\` bigint not null,
      \`idempotency_key\` varbinary(255) null,
      \`fingerprint\` text null,
      \`transfer_count\` integer not null,
      \`currency\` text not null,
      \`total_amount_minor\` bigint not null,
      \`balance_after_minor\` bigint not null,
      \`created_at\` datetime not null,
      constraint \`bulk_transfer_account_id_foreign\` foreign key (\`account_id\`) references \`account\` (\`id\`),
      constraint \`bulk_transfer_total_amount_minor_check\` check (total_amount_minor between 1 and 9007199254740991)
    )`);
    this.addSql(
      'create unique index `bulk_transfer_sequence_unique` on `bulk_transfer` (`account_id`, `sequence`)',
    );
    this.addSql(
      'create unique index `bulk_transfer_idempotency_key_unique` on `bulk_transfer` (`account_id`, `idempotency_key`)',
    );
    this.addSql(oneLine`create table \`transfer\` (
      \`id\` binary(16) not null primary key,
      \`bulk_transfer_id\` binary(16) not null,
      \`account_id\` binary(16) not null,
      \`position\` bigint not null,
      \`currency\` text not null,
      \`amount_minor\` bigint not null,
      \`counterparty_name\` text not null,
      \`counterparty_name_folded\` varbinary(1680) not null,
      \`counterparty_iban\` text not null,
      \`counterparty_bic\` text null,
      \`counterparty_account_id\` binary(16) null,
      \`description\` text not null,
      \`end_to_end_id\` varbinary(140) null,
      \`created_at\` datetime not null,
      constraint \`transfer_bulk_transfer_id_foreign\` foreign key (\`bulk_transfer_id\`) references \`bulk_transfer\` (\`id\`),
      constraint \`transfer_account_id_foreign\` foreign key (\`account_id\`) references \`account\` (\`id\`),
      constraint \`transfer_amount_minor_check\` check (amount_minor between 1 and 9007199254740991)
    )`);
    this.addSql(
      'create unique index `transfer_position_unique` on `transfer` (`account_id`, `position`)',
    );
    this.addSql(
      'create index `transfer_bulk_transfer_id_index` on `transfer` (`bulk_transfer_id`)',
    );
    this.addSql(
      'create index `transfer_counterparty_iban_index` on `transfer` (`account_id`, `counterparty_iban`, `position`)',
    );
    this.addSql(
      'create index `transfer_counterparty_name_index` on `transfer` (`account_id`, `counterparty_name_folded`, `position`)',
    );
    this.addSql(
      'create index `transfer_amount_index` on `transfer` (`account_id`, `amount_minor`, `position`)',
    );
    this.addSql(
      'create index `transfer_end_to_end_id_index` on `transfer` (`account_id`, `end_to_end_id`, `position`)',
    );
    this.addSql(oneLine`create table \`ledger_entry\` (
      \`id\` binary(16) not null primary key,
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
      constraint \`ledger_entry_account_id_foreign\` foreign key (\`account_id\`) references \`account\` (\`id\`),
      constraint \`ledger_entry_bulk_transfer_id_foreign\` foreign key (\`bulk_transfer_id\`) references \`bulk_transfer\` (\`id\`) on delete no action,
      constraint \`ledger_entry_amount_minor_check\` check (amount_minor between -9007199254740991 and 9007199254740991),
      constraint \`ledger_entry_balance_after_minor_check\` check (balance_after_minor between 0 and 9007199254740991)
    )`);
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
      \`id\` binary(16) not null primary key,
      \`type\` text not null,
      \`account_id\` binary(16) not null,
      \`sequence\` bigint not null,
      \`created_at\` datetime not null
    )`);
    this.addSql(
      'create unique index `outbox_message_sequence_unique` on `outbox_message` (`account_id`, `sequence`)',
    );
  }

  override down(): void {
    this.addSql('drop table `outbox_message`');
    this.addSql('drop table `ledger_entry`');
    this.addSql('drop table `transfer`');
    this.addSql('drop table `bulk_transfer`');
    this.addSql('drop table `account`');
  }
}
