import { Migration } from '@mikro-orm/migrations';

/** Creates rows for organizations. The organizations of existing accounts are made from the accounts. */
export default class CreateOrganizations extends Migration {
  override up(): void {
    this.addSql(
      'create table `organization` (`id` binary(16) not null primary key, `name` text not null, `created_at` datetime not null)',
    );
    this.addSql(`insert into organization (id, name, created_at)
      select organization_id, min(organization_name), min(created_at) from account
      group by organization_id`);
  }

  override down(): void {
    this.addSql('drop table `organization`');
  }
}
