/** The tables that the server writes to, for a look at whether the database has them and allows it. */
import type { MikroORM } from '@mikro-orm/sql';
import { Account } from '../../entities/account.entity.js';
import { ApiKey } from '../../entities/api-key.entity.js';
import { OutboxMessage } from '../../entities/outbox-message.entity.js';

/** Entities whose rows change; those of all others are only appended. */
const UPDATED: readonly unknown[] = [Account, ApiKey, OutboxMessage];

/** Entities whose rows are deleted. */
const PRUNED: readonly unknown[] = [OutboxMessage];

export interface WrittenTable {
  /** Names, quoted as every dialect takes them. */
  readonly table: string;
  readonly columns: readonly string[];
  readonly isUpdated: boolean;
  readonly isPruned: boolean;
}

export function writtenTablesOf(orm: MikroORM): readonly WrittenTable[] {
  return [...orm.getMetadata().getAll().values()].map(({ class: entity, tableName, props }) => ({
    table: quoted(tableName),
    columns: props
      .filter(({ persist }) => persist !== false)
      .flatMap(({ fieldNames = [] }) => fieldNames.map(quoted)),
    isUpdated: UPDATED.includes(entity),
    isPruned: PRUNED.includes(entity),
  }));
}

function quoted(name: string): string {
  return `\`${name}\``;
}
