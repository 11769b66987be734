import { Migration } from '@mikro-orm/migrations';

/** Adds the columns with which a relay publishes the outbox: the due time of a message, and its outcome. */
export default class ScheduleOutbox extends Migration {
  override up(): void {
    this.addSql('alter table `outbox_message` add column `due_at` datetime null');
    this.addSql('alter table `outbox_message` add column `attempts` integer not null default 0');
    this.addSql('alter table `outbox_message` add column `published_at` datetime null');
    this.addSql('alter table `outbox_message` add column `parked_at` datetime null');
    this.addSql('alter table `outbox_message` add column `last_error` text null');
    this.addSql('alter table `outbox_message` add column `traceparent` text null');
    this.addSql('update `outbox_message` set `due_at` = `created_at`');
    this.addSql('create index `outbox_message_due_at_index` on `outbox_message` (`due_at`, `id`)');
    this.addSql(
      'create index `outbox_message_published_at_index` on `outbox_message` (`published_at`)',
    );
    this.addSql('create index `outbox_message_parked_at_index` on `outbox_message` (`parked_at`)');
  }

  override down(): void {
    this.addSql('drop index `outbox_message_due_at_index`');
    this.addSql('drop index `outbox_message_published_at_index`');
    this.addSql('drop index `outbox_message_parked_at_index`');
    this.addSql('alter table `outbox_message` drop column `due_at`');
    this.addSql('alter table `outbox_message` drop column `attempts`');
    this.addSql('alter table `outbox_message` drop column `published_at`');
    this.addSql('alter table `outbox_message` drop column `parked_at`');
    this.addSql('alter table `outbox_message` drop column `last_error`');
    this.addSql('alter table `outbox_message` drop column `traceparent`');
  }
}
