import { Migration } from '@mikro-orm/migrations';

/** Creates the tables of webhooks, of their deliveries and of the attempts of these. */
export default class CreateWebhook extends Migration {
  override up(): void {
    this.addSql(`create table \`webhook\` (
      \`id\` binary(16) not null,
      \`organization_id\` binary(16) not null,
      \`slot\` int null,
      \`url\` varchar(2000) not null,
      \`events\` text not null,
      \`account_ibans\` text null,
      \`description\` varchar(140) null,
      \`ordered\` tinyint(1) not null,
      \`status\` varchar(10) not null,
      \`disabled_reason\` varchar(300) null,
      \`secret\` varchar(60) not null,
      \`previous_secret\` varchar(60) null,
      \`previous_secret_ends_at\` datetime(3) null,
      \`created_at\` datetime(3) not null,
      \`last_delivered_at\` datetime(3) null,
      \`failing_since\` datetime(3) null,
      \`deleted_at\` datetime(3) null,
      primary key (\`id\`),
      unique key \`webhook_slot_unique\` (\`organization_id\`, \`slot\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`webhook_cursor\` (
      \`webhook_id\` binary(16) not null,
      \`account_id\` binary(16) not null,
      \`position\` bigint not null,
      primary key (\`webhook_id\`, \`account_id\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`webhook_delivery\` (
      \`id\` binary(16) not null,
      \`webhook_id\` binary(16) not null,
      \`account_id\` binary(16) null,
      \`position\` bigint null,
      \`kind\` varchar(40) null,
      \`event_id\` binary(16) not null,
      \`status\` varchar(10) not null,
      \`attempts\` int not null,
      \`failures\` int not null,
      \`due_at\` datetime(3) null,
      \`leased_by\` binary(16) null,
      \`leased_at\` datetime(3) null,
      \`created_at\` datetime(3) not null,
      \`ended_at\` datetime(3) null,
      primary key (\`id\`),
      key \`webhook_delivery_webhook_index\` (\`webhook_id\`, \`id\`),
      key \`webhook_delivery_status_index\` (\`webhook_id\`, \`status\`, \`id\`),
      key \`webhook_delivery_due_at_index\` (\`webhook_id\`, \`due_at\`),
      key \`webhook_delivery_account_index\` (\`webhook_id\`, \`account_id\`, \`status\`, \`position\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`webhook_attempt\` (
      \`delivery_id\` binary(16) not null,
      \`number\` int not null,
      \`at\` datetime(3) not null,
      \`duration_ms\` int not null,
      \`http_status\` int null,
      \`error\` varchar(200) null,
      \`response_body\` varchar(1024) null,
      primary key (\`delivery_id\`, \`number\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
  }

  override down(): void {
    this.addSql('drop table `webhook_attempt`');
    this.addSql('drop table `webhook_delivery`');
    this.addSql('drop table `webhook_cursor`');
    this.addSql('drop table `webhook`');
  }
}
