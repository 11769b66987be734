import { Migration } from '@mikro-orm/migrations';

/** Creates the ledger, its outbox, the audit log, the API keys and the search tables. */
export default class CreateLedger extends Migration {
  override up(): void {
    this.addSql(`create table \`organization\` (
      \`id\` binary(16) not null,
      \`name\` varchar(140) not null,
      \`created_at\` datetime(3) not null,
      primary key (\`id\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`account\` (
      \`id\` binary(16) not null,
      \`short_id\` int unsigned not null,
      \`organization_id\` binary(16) not null,
      \`organization_name\` varchar(140) not null,
      \`iban\` varchar(34) not null,
      \`bic\` varchar(11) not null,
      \`currency\` varchar(3) not null,
      \`balance_minor\` bigint not null,
      \`sequence\` bigint not null,
      \`created_at\` datetime(3) not null,
      \`updated_at\` datetime(3) not null,
      primary key (\`id\`),
      unique key \`account_short_id_unique\` (\`short_id\`),
      unique key \`account_iban_unique\` (\`iban\`),
      key \`account_organization_id_index\` (\`organization_id\`),
      constraint \`account_balance_minor_check\` check (balance_minor between 0 and 9007199254740991)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`bulk_transfer\` (
      \`id\` binary(16) not null,
      \`account_id\` binary(16) not null,
      \`sequence\` bigint not null,
      \`idempotency_key\` varbinary(255) null,
      \`fingerprint\` varchar(64) null,
      \`transfer_count\` int not null,
      \`currency\` varchar(3) not null,
      \`total_amount_minor\` bigint not null,
      \`balance_after_minor\` bigint not null,
      \`created_at\` datetime(3) not null,
      primary key (\`id\`),
      unique key \`bulk_transfer_sequence_unique\` (\`account_id\`, \`sequence\`),
      unique key \`bulk_transfer_idempotency_key_unique\` (\`account_id\`, \`idempotency_key\`),
      constraint \`bulk_transfer_account_id_foreign\` foreign key (\`account_id\`) references \`account\` (\`id\`),
      constraint \`bulk_transfer_total_amount_minor_check\` check (total_amount_minor between 1 and 9007199254740991)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`transfer\` (
      \`account_id\` binary(16) not null,
      \`position\` bigint not null,
      \`amount_minor\` bigint not null,
      \`counterparty_name\` varchar(140) not null,
      \`counterparty_name_folded\` varbinary(1680) not null,
      \`counterparty_iban\` varchar(34) not null,
      \`counterparty_bic\` varchar(11) null,
      \`counterparty_account_id\` binary(16) null,
      \`description\` varchar(140) not null,
      \`end_to_end_id\` varbinary(140) null,
      primary key (\`account_id\`, \`position\`),
      constraint \`transfer_amount_minor_check\` check (amount_minor between 1 and 9007199254740991)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`incoming_transfer\` (
      \`account_id\` binary(16) not null,
      \`position\` bigint not null,
      \`payer_account_id\` binary(16) not null,
      \`payer_position\` bigint not null,
      \`currency\` varchar(3) not null,
      \`amount_minor\` bigint not null,
      \`counterparty_name\` varchar(140) not null,
      \`counterparty_name_folded\` varbinary(1680) not null,
      \`counterparty_iban\` varchar(34) not null,
      \`description\` varchar(140) not null,
      \`end_to_end_id\` varbinary(140) null,
      \`created_at\` datetime(3) not null,
      primary key (\`account_id\`, \`position\`),
      unique key \`incoming_transfer_payer_position_unique\` (\`payer_account_id\`, \`payer_position\`),
      constraint \`incoming_transfer_account_id_foreign\` foreign key (\`account_id\`) references \`account\` (\`id\`),
      constraint \`incoming_transfer_payer_account_id_foreign\` foreign key (\`payer_account_id\`) references \`account\` (\`id\`),
      constraint \`incoming_transfer_amount_minor_check\` check (amount_minor between 1 and 9007199254740991)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`ledger_entry\` (
      \`id\` binary(16) not null,
      \`account_id\` binary(16) not null,
      \`sequence\` bigint not null,
      \`kind\` varchar(17) not null,
      \`currency\` varchar(3) not null,
      \`amount_minor\` bigint not null,
      \`balance_after_minor\` bigint not null,
      \`bulk_transfer_id\` binary(16) null,
      \`idempotency_key\` varbinary(255) null,
      \`fingerprint\` varchar(64) null,
      \`description\` varchar(140) not null,
      \`created_at\` datetime(3) not null,
      primary key (\`id\`),
      unique key \`ledger_entry_sequence_unique\` (\`account_id\`, \`sequence\`),
      unique key \`ledger_entry_idempotency_key_unique\` (\`account_id\`, \`idempotency_key\`),
      key \`ledger_entry_bulk_transfer_id_index\` (\`bulk_transfer_id\`),
      key \`ledger_entry_created_at_index\` (\`account_id\`, \`created_at\`, \`sequence\`),
      constraint \`ledger_entry_account_id_foreign\` foreign key (\`account_id\`) references \`account\` (\`id\`),
      constraint \`ledger_entry_bulk_transfer_id_foreign\` foreign key (\`bulk_transfer_id\`) references \`bulk_transfer\` (\`id\`) on delete no action,
      constraint \`ledger_entry_amount_minor_check\` check (amount_minor between -9007199254740991 and 9007199254740991),
      constraint \`ledger_entry_balance_after_minor_check\` check (balance_after_minor between 0 and 9007199254740991)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`outbox_message\` (
      \`id\` binary(16) not null,
      \`type\` varchar(40) not null,
      \`subject_id\` binary(16) not null,
      \`sequence\` bigint not null,
      \`created_at\` datetime(3) not null,
      \`due_at\` datetime(3) null,
      \`attempts\` int not null default 0,
      \`published_at\` datetime(3) null,
      \`parked_at\` datetime(3) null,
      \`last_error\` varchar(500) null,
      \`leased_by\` binary(16) null,
      \`traceparent\` varchar(55) null,
      primary key (\`id\`),
      unique key \`outbox_message_sequence_unique\` (\`subject_id\`, \`sequence\`),
      key \`outbox_message_due_at_index\` (\`due_at\`, \`id\`),
      key \`outbox_message_published_at_index\` (\`published_at\`),
      key \`outbox_message_parked_at_index\` (\`parked_at\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`api_key\` (
      \`id\` binary(16) not null,
      \`prefix\` varchar(16) not null,
      \`secret_hash\` varchar(64) not null,
      \`name\` varchar(140) not null,
      \`organization_ids\` text not null,
      \`roles\` text not null,
      \`created_at\` datetime(3) not null,
      \`created_by\` varchar(255) not null,
      \`revoked_at\` datetime(3) null,
      primary key (\`id\`),
      unique key \`api_key_prefix_unique\` (\`prefix\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`audit_entry\` (
      \`id\` binary(16) not null,
      \`at\` datetime(3) not null,
      \`action\` varchar(40) not null,
      \`outcome\` varchar(40) not null,
      \`actor\` varchar(255) not null,
      \`actor_kind\` varchar(20) not null,
      \`remote_address\` varchar(45) not null,
      \`request_id\` varchar(36) not null,
      \`account_id\` binary(16) null,
      \`subject_id\` binary(16) null,
      primary key (\`id\`),
      key \`audit_entry_account_id_index\` (\`account_id\`, \`id\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`search_iban\` (
      \`account_short_id\` int unsigned not null,
      \`list\` tinyint not null,
      \`counterparty_iban\` varchar(34) not null,
      \`position\` bigint not null,
      primary key (\`account_short_id\`, \`list\`, \`counterparty_iban\`, \`position\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`search_name\` (
      \`account_short_id\` int unsigned not null,
      \`list\` tinyint not null,
      \`folded_name\` varbinary(32) not null,
      \`position\` bigint not null,
      primary key (\`account_short_id\`, \`list\`, \`folded_name\`, \`position\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`search_amount\` (
      \`account_short_id\` int unsigned not null,
      \`list\` tinyint not null,
      \`amount_minor\` bigint not null,
      \`position\` bigint not null,
      primary key (\`account_short_id\`, \`list\`, \`amount_minor\`, \`position\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`search_end_to_end_id\` (
      \`account_short_id\` int unsigned not null,
      \`list\` tinyint not null,
      \`end_to_end_id\` varbinary(140) not null,
      \`position\` bigint not null,
      primary key (\`account_short_id\`, \`list\`, \`end_to_end_id\`, \`position\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`search_watermark\` (
      \`account_short_id\` int unsigned not null,
      \`sequence\` bigint not null,
      \`entry_id\` binary(16) not null,
      primary key (\`account_short_id\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
  }

  override down(): void {
    this.addSql('drop table `search_watermark`');
    this.addSql('drop table `search_end_to_end_id`');
    this.addSql('drop table `search_amount`');
    this.addSql('drop table `search_name`');
    this.addSql('drop table `search_iban`');
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
