import { Migration } from '@mikro-orm/migrations';

/** Creates the table of dead letters. */
export default class CreateDeadLetter extends Migration {
  override up(): void {
    this.addSql(`create table \`dead_letter\` (
      \`id\` binary(16) not null,
      \`consumer\` varbinary(255) not null,
      \`message_id\` varbinary(255) not null,
      \`type\` varchar(255) not null,
      \`reason\` varchar(60) not null,
      \`attempts\` int not null,
      \`last_error\` varchar(1000) null,
      \`first_failed_at\` datetime(3) not null,
      \`last_failed_at\` datetime(3) not null,
      \`received_at\` datetime(3) not null,
      \`arrivals\` int not null,
      \`payload\` mediumblob not null,
      primary key (\`id\`),
      unique key \`dead_letter_message_unique\` (\`consumer\`, \`message_id\`),
      key \`dead_letter_consumer_index\` (\`consumer\`, \`id\`)
    ) default character set utf8mb4 collate utf8mb4_bin engine = InnoDB`);
  }

  override down(): void {
    this.addSql('drop table `dead_letter`');
  }
}
