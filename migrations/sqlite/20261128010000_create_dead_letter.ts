import { Migration } from '@mikro-orm/migrations';

/**
 * Creates the table of dead letters. It has a rowid, because its rows are too large for the tree of their key.
 */
export default class CreateDeadLetter extends Migration {
  override up(): void {
    this.addSql(
      `create table \`dead_letter\` (
      \`id\` binary(16) not null,
      \`consumer\` varbinary(255) not null,
      \`message_id\` varbinary(255) not null,
      \`type\` text not null,
      \`reason\` text not null,
      \`attempts\` integer not null,
      \`last_error\` text null,
      \`first_failed_at\` datetime not null,
      \`last_failed_at\` datetime not null,
      \`received_at\` datetime not null,
      \`arrivals\` integer not null,
      \`payload\` mediumblob not null,
      primary key (\`id\`)
    )`.replace(/\s+/g, ' '),
    );
    this.addSql(
      'create unique index `dead_letter_message_unique` on `dead_letter` (`consumer`, `message_id`)',
    );
    this.addSql('create index `dead_letter_consumer_index` on `dead_letter` (`consumer`, `id`)');
  }

  override down(): void {
    this.addSql('drop table `dead_letter`');
  }
}
