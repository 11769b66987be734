import { Migration } from '@mikro-orm/migrations';

/** Adds API keys and the audit log. */
export default class AddAccess extends Migration {
  override up(): void {
    this.addSql(
      'create table `api_key` (`id` binary(16) not null primary key, `prefix` text not null, `secret_hash` text not null, `name` text not null, `organization_ids` text not null, `roles` text not null, `created_at` datetime not null, `created_by` text not null, `revoked_at` datetime null)',
    );
    this.addSql('create unique index `api_key_prefix_unique` on `api_key` (`prefix`)');
    this.addSql(
      'create table `audit_entry` (`id` binary(16) not null primary key, `at` datetime not null, `action` text not null, `outcome` text not null, `actor` text not null, `actor_kind` text not null, `remote_address` text not null, `request_id` text not null, `account_id` binary(16) null, `subject_id` binary(16) null)',
    );
    this.addSql(
      'create index `audit_entry_account_id_index` on `audit_entry` (`account_id`, `id`)',
    );
  }

  override down(): void {
    this.addSql('drop table `audit_entry`');
    this.addSql('drop table `api_key`');
  }
}
