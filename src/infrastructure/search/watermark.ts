import type { EntityManager } from '@mikro-orm/sql';
import { firstPositionOf } from '../../domain/postings.js';
import { idLiteral } from '../database/id-literal.js';
import { joinWatermark, type SearchedList } from './search-tables.js';

/** The largest number of transfers that a filter reads from the ledger because they are not indexed yet. */
const TAIL_MAX = 10_000;

/** A row as the driver returns it. */
interface WatermarkRow {
  readonly sequence: number | string;
  readonly indexed: number | string | null;
  readonly is_right: number;
}

/**
 * Returns the sequence of the last indexed ledger entry of an account; 0 for none.
 * @returns undefined if many transfers follow it, or if the entry is not in the ledger
 */
export async function readWatermark(
  em: EntityManager,
  accountId: string,
  list: SearchedList,
): Promise<bigint | undefined> {
  const connection = em.getConnection();
  const [account] = await connection.execute<WatermarkRow[]>(
    `select account.sequence, watermark.sequence as indexed,
      (watermark.sequence is null or indexed_entry.id is not null) as is_right
    from account ${joinWatermark('account')} where account.id = ${idLiteral(accountId)}`,
  );
  if (!account) return 0n;
  if (!Number(account.is_right)) return undefined;
  const watermark = BigInt(account.indexed ?? 0);
  if (watermark >= BigInt(account.sequence)) return watermark;
  const beyond = await connection.execute<object[]>(
    `select position from ${list} where account_id = ${idLiteral(accountId)}
      and position >= ${firstPositionOf(watermark + 1n)}
    order by position limit 1 offset ${TAIL_MAX}`,
  );
  return beyond.length === 0 ? watermark : undefined;
}
