import { Migration } from '@mikro-orm/migrations';

/** Adds the reason of an audit entry, which an operator gives for a discard. */
export default class AddAuditEntryReason extends Migration {
  override up(): void {
    this.addSql('alter table `audit_entry` add column `reason` varchar(140) null');
  }

  override down(): void {
    this.addSql('alter table `audit_entry` drop column `reason`');
  }
}
