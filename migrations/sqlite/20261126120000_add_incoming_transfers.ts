import { Migration } from '@mikro-orm/migrations';

/**
 * Joins a statement to one line. SQLite keeps a statement as written, and MikroORM finds the checks of a table in it
 * line by line.
 */
const oneLine = (sql: TemplateStringsArray) => sql.join('').replace(/\s+/g, ' ');

const INDEXES = [
  ['incoming_transfer_position_unique', '`account_id`, `position`'],
  ['incoming_transfer_payer_position_unique', '`payer_account_id`, `payer_position`'],
  ['incoming_transfer_counterparty_iban_index', '`account_id`, `counterparty_iban`, `position`'],
  [
    'incoming_transfer_counterparty_name_index',
    '`account_id`, `counterparty_name_folded`, `position`',
  ],
  ['incoming_transfer_amount_index', '`account_id`, `amount_minor`, `position`'],
  ['incoming_transfer_end_to_end_id_index', '`account_id`, `end_to_end_id`, `position`'],
] as const;

/** Adds the rows with which payees see each transfer to them. Rows for earlier bulks are made from the ledger. */
export default class AddIncomingTransfers extends Migration {
  override async up(): Promise<void> {
    await this.execute(oneLine`create table \`incoming_transfer\` (
      \`id\` binary(16) not null primary key,
      \`account_id\` binary(16) not null,
      \`position\` bigint not null,
      \`payer_account_id\` binary(16) not null,
      \`payer_position\` bigint not null,
      \`currency\` text not null,
      \`amount_minor\` bigint not null,
      \`counterparty_name\` text not null,
      \`counterparty_name_folded\` varbinary(1680) not null,
      \`counterparty_iban\` text not null,
      \`description\` text not null,
      \`end_to_end_id\` varbinary(140) null,
      \`created_at\` datetime not null,
      constraint \`incoming_transfer_account_id_foreign\` foreign key (\`account_id\`) references \`account\` (\`id\`),
      constraint \`incoming_transfer_payer_account_id_foreign\` foreign key (\`payer_account_id\`) references \`account\` (\`id\`),
      constraint \`incoming_transfer_amount_minor_check\` check (amount_minor between 1 and 9007199254740991)
    )`);
    for (const [name, columns] of INDEXES) {
      const kind = name.endsWith('unique') ? 'unique index' : 'index';
      await this.execute(`create ${kind} \`${name}\` on \`incoming_transfer\` (${columns})`);
    }
    await this.execute(`insert into incoming_transfer (
        id, account_id, position, payer_account_id, payer_position, currency, amount_minor,
        counterparty_name, counterparty_name_folded, counterparty_iban, description, end_to_end_id,
        created_at)
      select unhex(substr(hex(t.id), 1, 18) || hex(randomblob(7))),
        e.account_id,
        e.sequence * 1048576 - 1 + row_number() over (partition by e.id order by t.position),
        t.account_id, t.position, t.currency, t.amount_minor,
        payer.organization_name, '', payer.iban, t.description, t.end_to_end_id, e.created_at
      from ledger_entry e
      join transfer t on t.bulk_transfer_id = e.bulk_transfer_id
        and t.counterparty_account_id = e.account_id
      join account payer on payer.id = t.account_id
      where e.kind = 'BOOK_TRANSFER'`);
    await this.#foldNames();
  }

  /** Folds the payers' names as the server does, because no collation of a database folds them the same way. */
  async #foldNames(): Promise<void> {
    const rows = await this.execute(
      'select distinct hex(payer_account_id) as payer, counterparty_name as name from incoming_transfer',
    );
    for (const { payer, name } of rows) {
      const folded = String(name).toLowerCase().normalize('NFC').replaceAll('ς', 'σ');
      const payerId = Buffer.from(String(payer), 'hex');
      await this.execute(
        'update incoming_transfer set counterparty_name_folded = ? where payer_account_id = ?',
        [Buffer.from(folded), payerId],
      );
    }
  }

  override down(): void {
    this.addSql('drop table `incoming_transfer`');
  }
}
