import type { EntityManager } from '@mikro-orm/sql';
import { firstPositionOf } from '../../domain/postings.js';
import { idLiteral, idOfHex } from '../database/id-literal.js';
import { joinWatermark, type SearchedList } from './search-tables.js';

/** The largest number of transfers that a filter reads from the ledger because they are not indexed yet. */
const TAIL_MAX = 10_000;

/** An account, and how far its ledger entries are indexed. */
export interface IndexedAccount {
  readonly accountId: string;
  readonly shortId: number;
  /** The sequence of its last ledger entry. */
  readonly head: bigint;
  /** The sequence of its last indexed ledger entry; 0 for none. */
  readonly watermark: bigint;
  /** Tells whether the ledger has the entry of the watermark. If not, the account has to be indexed anew. */
  readonly isRight: boolean;
}

/** A row as the driver returns it. */
interface AccountRow {
  readonly id: string;
  readonly short_id: number;
  readonly sequence: number | string;
  readonly indexed: number | string;
  readonly is_right: number;
}

/** Reads how far accounts are indexed. They are returned in the order of the ids, without those that do not exist. */
export async function readIndexedAccounts(
  em: EntityManager,
  accountIds: readonly string[],
): Promise<IndexedAccount[]> {
  const rows = await em.getConnection().execute<AccountRow[]>(
    `select hex(account.id) as id, account.short_id, account.sequence,
      coalesce(watermark.sequence, 0) as indexed,
      (watermark.sequence is null or indexed_entry.id is not null) as is_right
    from account ${joinWatermark('account')}
    where account.id in (${accountIds.map(idLiteral).join(',')})`,
  );
  const accounts = rows.map((row) => ({
    accountId: idOfHex(row.id),
    shortId: row.short_id,
    head: BigInt(row.sequence),
    watermark: BigInt(row.indexed),
    isRight: Number(row.is_right) === 1,
  }));
  const byId = new Map(accounts.map((account) => [account.accountId, account]));
  return accountIds.flatMap((id) => byId.get(id) ?? []);
}

/**
 * Returns the sequence of the last indexed ledger entry of an account; 0 for none.
 * @param before the sequence of the first entry that the caller does not read; undefined if the caller reads all
 * @returns undefined if many transfers that the caller reads follow it, or if the entry is not in the ledger
 */
export async function readWatermark(
  em: EntityManager,
  accountId: string,
  list: SearchedList,
  before?: bigint,
): Promise<bigint | undefined> {
  const [account] = await readIndexedAccounts(em, [accountId]);
  if (!account) return 0n;
  const { watermark, head, isRight } = account;
  if (!isRight) return undefined;
  const end = before ?? head + 1n;
  if (watermark + 1n >= end) return watermark;
  const beyond = await em.getConnection().execute<object[]>(
    `select position from ${list} where account_id = ${idLiteral(accountId)}
      and position >= ${firstPositionOf(watermark + 1n)} and position < ${firstPositionOf(end)}
    order by position limit 1 offset ${TAIL_MAX}`,
  );
  return beyond.length === 0 ? watermark : undefined;
}
