import { Migration } from '@mikro-orm/migrations';

/** Renames the account of an outbox message to its subject. A message may be about something else than an account. */
export default class NameOutboxSubjects extends Migration {
  override up(): void {
    this.addSql('alter table `outbox_message` rename column `account_id` to `subject_id`');
  }

  override down(): void {
    this.addSql('alter table `outbox_message` rename column `subject_id` to `account_id`');
  }
}
