import { Migration } from '@mikro-orm/migrations';

const oneLine = (sql: TemplateStringsArray) => sql.join('').replace(/\s+/g, ' ');

/** Creates the tables of bulk transfer orders, of their rows and of the changes of their states. */
export default class CreateOrder extends Migration {
  override up(): void {
    this.addSql(oneLine`create table \`bulk_transfer_order\` (
      \`id\` binary(16) not null,
      \`account_id\` binary(16) not null,
      \`organization_id\` binary(16) not null,
      \`name\` text null,
      \`status\` text not null,
      \`source\` text not null,
      \`currency\` text not null,
      \`file_name\` text null,
      \`file_hash\` text null,
      \`file_part\` integer null,
      \`file_problems\` text null,
      \`file_warnings\` text null,
      \`import_key\` varbinary(255) null,
      \`execution_date\` text null,
      \`row_count\` integer not null,
      \`problem_count\` integer not null,
      \`unreadable_rows\` integer not null,
      \`total_amount_minor\` bigint not null,
      \`kept_rows\` integer not null,
      \`idempotency_key\` varbinary(255) null,
      \`bulk_rows_max\` integer null,
      \`transition_count\` integer not null,
      \`performed_bulks\` integer not null,
      \`failure\` text null,
      \`created_by\` text not null,
      \`submitted_by\` text null,
      \`submitted_by_kind\` text null,
      \`request_id\` text null,
      \`remote_address\` text null,
      \`created_at\` datetime not null,
      \`changed_at\` datetime not null,
      \`submitted_at\` datetime null,
      \`performed_at\` datetime null,
      \`expires_at\` datetime null,
      \`phase\` text not null,
      \`rows_done\` integer not null,
      \`leased_by\` binary(16) null,
      \`leased_until\` datetime null,
      primary key (\`id\`)
    )`);
    this.addSql(
      'create index `bulk_transfer_order_organization_index` on `bulk_transfer_order` (`organization_id`, `id`)',
    );
    this.addSql(
      'create unique index `bulk_transfer_order_import_key_unique` on `bulk_transfer_order` (`organization_id`, `import_key`, `file_part`)',
    );
    this.addSql(
      'create index `bulk_transfer_order_file_index` on `bulk_transfer_order` (`organization_id`, `file_hash`, `id`)',
    );
    this.addSql(
      'create index `bulk_transfer_order_room_index` on `bulk_transfer_order` (`organization_id`, `status`, `kept_rows`)',
    );
    this.addSql(
      'create index `bulk_transfer_order_account_index` on `bulk_transfer_order` (`account_id`, `id`)',
    );
    this.addSql(
      'create index `bulk_transfer_order_status_index` on `bulk_transfer_order` (`status`, `id`)',
    );
    this.addSql(
      'create index `bulk_transfer_order_expires_at_index` on `bulk_transfer_order` (`expires_at`)',
    );
    this.addSql(oneLine`create table \`order_row\` (
      \`order_id\` binary(16) not null,
      \`row_index\` bigint not null,
      \`line\` integer null,
      \`amount\` text null,
      \`currency\` text null,
      \`counterparty_name\` text null,
      \`counterparty_iban\` text null,
      \`counterparty_bic\` text null,
      \`description\` text null,
      \`end_to_end_id\` varbinary(2000) null,
      \`amount_minor\` bigint null,
      \`problem_count\` integer not null,
      \`problems\` text null,
      \`is_duplicate\` integer not null,
      \`has_problems\` integer not null,
      primary key (\`order_id\`, \`row_index\`)
    ) without rowid`);
    this.addSql(
      'create index `order_row_problems_index` on `order_row` (`order_id`, `has_problems`, `row_index`)',
    );
    this.addSql(
      'create index `order_row_end_to_end_id_index` on `order_row` (`order_id`, `end_to_end_id`, `row_index`)',
    );
    this.addSql(oneLine`create table \`order_transition\` (
      \`id\` binary(16) not null,
      \`order_id\` binary(16) not null,
      \`sequence\` bigint not null,
      \`account_id\` binary(16) not null,
      \`previous_status\` text null,
      \`status\` text not null,
      \`row_count\` integer not null,
      \`total_amount_minor\` bigint null,
      \`performed_bulks\` integer not null,
      \`failure_code\` text null,
      \`created_at\` datetime not null,
      primary key (\`id\`)
    )`);
    this.addSql(
      'create unique index `order_transition_sequence_unique` on `order_transition` (`order_id`, `sequence`)',
    );
  }

  override down(): void {
    this.addSql('drop table `order_transition`');
    this.addSql('drop table `order_row`');
    this.addSql('drop table `bulk_transfer_order`');
  }
}
