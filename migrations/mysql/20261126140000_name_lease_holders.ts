import { Migration } from '@mikro-orm/migrations';

/** Names the relay that has a message, so that the messages of one that ended need not wait for their lease. */
export default class NameLeaseHolders extends Migration {
  override up(): void {
    this.addSql('alter table `outbox_message` add column `leased_by` binary(16) null');
  }

  override down(): void {
    this.addSql('alter table `outbox_message` drop column `leased_by`');
  }
}
