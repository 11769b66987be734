import { Migration } from '@mikro-orm/migrations';

/**
 * Adds the name of the relay that leases a message. Messages of a relay that ended then need not wait for the end of
 * their lease.
 */
export default class NameLeaseHolders extends Migration {
  override up(): void {
    this.addSql('alter table `outbox_message` add column `leased_by` binary(16) null');
  }

  override down(): void {
    this.addSql('alter table `outbox_message` drop column `leased_by`');
  }
}
