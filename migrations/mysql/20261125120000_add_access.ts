import { Migration } from '@mikro-orm/migrations';

/** Adds API keys and the audit log. */
export default class AddAccess extends Migration {
  override up(): void {
    this.addSql(`create table \`api_key\` (
      \`id\` binary(16) not null,
      \`prefix\` varchar(16) not null,
      \`secret_hash\` varchar(64) not null,
      \`name\` varchar(140) not null,
      \`organization_ids\` text not null,
      \`roles\` text not null,
      \`created_at\` datetime(3) not null,
      \`created_by\` varchar(255) not null,
      \`revoked_at\` datetime(3) null,
      primary key (\`id\`),
      unique key \`api_key_prefix_unique\` (\`prefix\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
    this.addSql(`create table \`audit_entry\` (
      \`id\` binary(16) not null,
      \`at\` datetime(3) not null,
      \`action\` varchar(40) not null,
      \`outcome\` varchar(40) not null,
      \`actor\` varchar(255) not null,
      \`actor_kind\` varchar(20) not null,
      \`remote_address\` varchar(45) not null,
      \`request_id\` varchar(36) not null,
      \`account_id\` binary(16) null,
      \`subject_id\` binary(16) null,
      primary key (\`id\`),
      key \`audit_entry_account_id_index\` (\`account_id\`, \`id\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
  }

  override down(): void {
    this.addSql('drop table `audit_entry`');
    this.addSql('drop table `api_key`');
  }
}
