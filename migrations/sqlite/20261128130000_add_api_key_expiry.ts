import { Migration } from '@mikro-orm/migrations';

/** Adds the expiry and the last use of API keys. */
export default class AddApiKeyExpiry extends Migration {
  override up(): void {
    this.addSql('alter table `api_key` add column `expires_at` datetime null');
    this.addSql('alter table `api_key` add column `last_used_at` datetime null');
  }

  override down(): void {
    this.addSql('alter table `api_key` drop column `last_used_at`');
    this.addSql('alter table `api_key` drop column `expires_at`');
  }
}
