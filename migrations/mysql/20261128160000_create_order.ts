import { Migration } from '@mikro-orm/migrations';

/** Creates the tables of bulk transfer orders, of their rows and of the changes of their states. */
export default class CreateOrder extends Migration {
  override up(): void {
    this.addSql(`create table \`bulk_transfer_order\` (
      \`id\` binary(16) not null,
      \`account_id\` binary(16) not null,
      \`organization_id\` binary(16) not null,
      \`name\` varchar(140) null,
      \`status\` varchar(20) not null,
      \`source\` varchar(20) not null,
      \`currency\` varchar(3) not null,
      \`file_name\` varchar(255) null,
      \`file_hash\` varchar(64) null,
      \`file_part\` int null,
      \`file_problems\` text null,
      \`file_warnings\` text null,
      \`import_key\` varbinary(255) null,
      \`execution_date\` varchar(10) null,
      \`row_count\` int not null,
      \`problem_count\` int not null,
      \`unreadable_rows\` int not null,
      \`total_amount_minor\` bigint not null,
      \`kept_rows\` int not null,
      \`idempotency_key\` varbinary(255) null,
      \`bulk_rows_max\` int null,
      \`transition_count\` int not null,
      \`performed_bulks\` int not null,
      \`failure\` text null,
      \`created_by\` varchar(255) not null,
      \`submitted_by\` varchar(255) null,
      \`submitted_by_kind\` varchar(20) null,
      \`request_id\` varchar(36) null,
      \`remote_address\` varchar(45) null,
      \`created_at\` datetime(3) not null,
      \`changed_at\` datetime(3) not null,
      \`submitted_at\` datetime(3) null,
      \`performed_at\` datetime(3) null,
      \`expires_at\` datetime(3) null,
      \`phase\` varchar(20) not null,
      \`rows_done\` int not null,
      \`leased_by\` binary(16) null,
      \`leased_until\` datetime(3) null,
      primary key (\`id\`),
      unique key \`bulk_transfer_order_import_key_unique\` (\`organization_id\`, \`import_key\`, \`file_part\`),
      key \`bulk_transfer_order_organization_index\` (\`organization_id\`, \`id\`),
      key \`bulk_transfer_order_file_index\` (\`organization_id\`, \`file_hash\`, \`id\`),
      key \`bulk_transfer_order_room_index\` (\`organization_id\`, \`status\`, \`kept_rows\`),
      key \`bulk_transfer_order_account_index\` (\`account_id\`, \`id\`),
      key \`bulk_transfer_order_status_index\` (\`status\`, \`id\`),
      key \`bulk_transfer_order_expires_at_index\` (\`expires_at\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`order_row\` (
      \`order_id\` binary(16) not null,
      \`row_index\` bigint not null,
      \`line\` int null,
      \`amount\` varchar(500) null,
      \`currency\` varchar(500) null,
      \`counterparty_name\` varchar(500) null,
      \`counterparty_iban\` varchar(500) null,
      \`counterparty_bic\` varchar(500) null,
      \`description\` varchar(500) null,
      \`end_to_end_id\` varbinary(2000) null,
      \`amount_minor\` bigint null,
      \`problem_count\` int not null,
      \`problems\` text null,
      \`is_duplicate\` int not null,
      \`has_problems\` int not null,
      primary key (\`order_id\`, \`row_index\`),
      key \`order_row_problems_index\` (\`order_id\`, \`has_problems\`, \`row_index\`),
      key \`order_row_end_to_end_id_index\` (\`order_id\`, \`end_to_end_id\`, \`row_index\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`order_transition\` (
      \`id\` binary(16) not null,
      \`order_id\` binary(16) not null,
      \`sequence\` bigint not null,
      \`account_id\` binary(16) not null,
      \`previous_status\` varchar(20) null,
      \`status\` varchar(20) not null,
      \`row_count\` int not null,
      \`total_amount_minor\` bigint null,
      \`performed_bulks\` int not null,
      \`failure_code\` varchar(40) null,
      \`created_at\` datetime(3) not null,
      primary key (\`id\`),
      unique key \`order_transition_sequence_unique\` (\`order_id\`, \`sequence\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
  }

  override down(): void {
    this.addSql('drop table `order_transition`');
    this.addSql('drop table `order_row`');
    this.addSql('drop table `bulk_transfer_order`');
  }
}
