import { Migration } from '@mikro-orm/migrations';

const oneLine = (sql: TemplateStringsArray) => sql.join('').replace(/\s+/g, ' ');

/**
 * Creates the tables of webhooks, of their deliveries and of the attempts of these. Webhooks and attempts have a rowid,
 * because their rows are too large for the tree of their key.
 */
export default class CreateWebhook extends Migration {
  override up(): void {
    this.addSql(oneLine`create table \`webhook\` (
      \`id\` binary(16) not null,
      \`organization_id\` binary(16) not null,
      \`slot\` integer null,
      \`url\` text not null,
      \`events\` text not null,
      \`account_ibans\` text null,
      \`description\` text null,
      \`ordered\` integer not null,
      \`status\` text not null,
      \`disabled_reason\` text null,
      \`secret\` text not null,
      \`previous_secret\` text null,
      \`previous_secret_ends_at\` datetime null,
      \`created_at\` datetime not null,
      \`last_delivered_at\` datetime null,
      \`failing_since\` datetime null,
      \`deleted_at\` datetime null,
      primary key (\`id\`)
    )`);
    this.addSql(
      'create unique index `webhook_slot_unique` on `webhook` (`organization_id`, `slot`)',
    );
    this.addSql(oneLine`create table \`webhook_cursor\` (
      \`webhook_id\` binary(16) not null,
      \`account_id\` binary(16) not null,
      \`position\` bigint not null,
      primary key (\`webhook_id\`, \`account_id\`)
    ) without rowid`);
    this.addSql(oneLine`create table \`webhook_delivery\` (
      \`id\` binary(16) not null,
      \`webhook_id\` binary(16) not null,
      \`account_id\` binary(16) null,
      \`position\` bigint null,
      \`kind\` text null,
      \`event_id\` binary(16) not null,
      \`status\` text not null,
      \`attempts\` integer not null,
      \`failures\` integer not null,
      \`due_at\` datetime null,
      \`leased_by\` binary(16) null,
      \`leased_at\` datetime null,
      \`created_at\` datetime not null,
      \`ended_at\` datetime null,
      primary key (\`id\`)
    ) without rowid`);
    this.addSql(
      'create index `webhook_delivery_webhook_index` on `webhook_delivery` (`webhook_id`, `id`)',
    );
    this.addSql(
      'create index `webhook_delivery_status_index` on `webhook_delivery` (`webhook_id`, `status`, `id`)',
    );
    this.addSql(
      'create index `webhook_delivery_due_at_index` on `webhook_delivery` (`webhook_id`, `due_at`)',
    );
    this.addSql(
      'create index `webhook_delivery_account_index` on `webhook_delivery` (`webhook_id`, `account_id`, `status`, `position`)',
    );
    this.addSql(oneLine`create table \`webhook_attempt\` (
      \`delivery_id\` binary(16) not null,
      \`number\` integer not null,
      \`at\` datetime not null,
      \`duration_ms\` integer not null,
      \`http_status\` integer null,
      \`error\` text null,
      \`response_body\` text null,
      primary key (\`delivery_id\`, \`number\`)
    )`);
  }

  override down(): void {
    this.addSql('drop table `webhook_attempt`');
    this.addSql('drop table `webhook_delivery`');
    this.addSql('drop table `webhook_cursor`');
    this.addSql('drop table `webhook`');
  }
}
