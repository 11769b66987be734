/** The invariants that are checked row by row with the domain's own functions. */

import { isIP } from 'node:net';
import type { EntityManager } from '@mikro-orm/sql';
import { isApiKeyPrefix } from '../../domain/api-key.js';
import { type RecordedTransfer, recordedBulkFingerprint } from '../../domain/bulk-transfer.js';
import { creditFingerprint } from '../../domain/credit.js';
import { fractionDigitsOf } from '../../domain/currency.js';
import { isStoredReason } from '../../domain/dead-letter.js';
import { isBic } from '../../domain/iban.js';
import { isId, shortIdOf } from '../../domain/id.js';
import {
  fingerprintVersionOf,
  hasSameContent,
  idempotencyKeyProblems,
} from '../../domain/idempotency.js';
import {
  AUDITED_ACTIONS,
  AUDITED_OUTCOMES,
  LEDGER_ENTRY_KINDS,
  OUTBOX_MESSAGE_TYPES,
  ROLES,
} from '../../domain/kinds.js';
import { formatAmount } from '../../domain/money.js';
import { bulkTransferIdOf } from '../../domain/position-id.js';
import { DESCRIPTION, END_TO_END_ID, foldName, NAME } from '../../domain/text.js';
import { sequenceSql } from '../../entities/sequence-sql.js';
import { dateOf } from '../database/stored-date.js';
import { type Check, VIOLATIONS_LISTED_MAX, type Violation } from './check.js';
import { absentOr, isIban, isStoredId, listOf, matching, oneOf, text } from './forms.js';
import {
  type Form,
  formRule,
  hexOf,
  hexOfId,
  placeOf,
  type RowRule,
  rowCheck,
  rowOf,
  textOf,
} from './row-check.js';
import { pagesOf, type StoredRow } from './table-pages.js';

const isStoredBic: Form = (value) => typeof value === 'string' && isBic(value, 'format');
const isCurrency: Form = (value) =>
  typeof value === 'string' && fractionDigitsOf(value) !== undefined;
const isKey: Form = (value) => idempotencyKeyProblems(textOf(value)).length === 0;
const isFingerprint: Form = (value) =>
  typeof value === 'string' && fingerprintVersionOf(value) !== undefined;
const isHash = matching(/^[0-9a-f]{64}$/);
const isPrefix: Form = (value) => typeof value === 'string' && isApiKeyPrefix(value);
const isTraceparent = matching(/^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/);
/** Checks an IP address. It is empty for a program of the server itself. */
const isAddress: Form = (value) => value === '' || isIP(String(value)) > 0;
/** Checks the name of a queue, a message or a type. */
const isShortString: Form = (value) => textOf(value) !== '';
const isRequestId: Form = (value) => value === '' || isId(String(value));

function foldedNames(statement: string): RowRule {
  return {
    statement,
    watch: () => ({
      see: (row) =>
        foldName(textOf(row.counterparty_name)) === textOf(row.counterparty_name_folded)
          ? undefined
          : placeOf(row),
    }),
  };
}

const shortIds: RowRule = {
  statement: "an account's short id is the end of its id",
  watch: () => ({
    see: ({ id, short_id }) =>
      shortIdOf(hexOf(id)) === Number(short_id) ? undefined : { account: hexOf(id) },
  }),
};

/** A bulk's id is made from its place: see bulkTransferIdOf. */
const bulkIds: RowRule = {
  statement: 'the id of a bulk matches its account, its sequence and its time',
  watch: () => ({
    see: ({ id, account_id, sequence, created_at }) => {
      const place = {
        accountId: hexOf(account_id),
        sequence: BigInt(String(sequence)),
        createdAt: dateOf(created_at),
      };
      const isRight = hexOf(id) === hexOfId(bulkTransferIdOf(place));
      return isRight ? undefined : { bulk: hexOf(id) };
    },
  }),
};

const endToEndIds: RowRule = {
  statement: 'an end-to-end id occurs once in its bulk',
  watch: () => {
    let bulk: unknown;
    let seen = new Set<string>();
    return {
      see: (row) => {
        const { bulk_transfer_id, end_to_end_id } = row;
        if (end_to_end_id === null) return undefined;
        if (!isSameId(bulk, bulk_transfer_id)) seen = new Set();
        bulk = bulk_transfer_id;
        const endToEndId = textOf(end_to_end_id);
        if (seen.has(endToEndId)) return placeOf(row);
        seen.add(endToEndId);
        return undefined;
      },
    };
  },
};

/**
 * The rule of fingerprints. A fingerprint covers every text and amount of a bulk with a key. The rule holds the rows of
 * one bulk in memory.
 */
const bulkFingerprints: RowRule = {
  statement: 'the fingerprint of a bulk with a key matches its transfers',
  watch: () => {
    let rows: StoredRow[] = [];
    const judge = () => {
      const [first] = rows;
      const isRight = !first || hasRecordedContent(first, rows);
      rows = [];
      return isRight ? undefined : { bulk: hexOf(first.bulk_transfer_id) };
    };
    return {
      see: (row) => {
        const [first] = rows;
        const isNext = first && !isSameId(first.bulk_transfer_id, row.bulk_transfer_id);
        const violation = isNext ? judge() : undefined;
        if (row.fingerprint !== null) rows.push(row);
        return violation;
      },
      end: judge,
    };
  },
};

function isSameId(one: unknown, other: unknown): boolean {
  return one instanceof Uint8Array && other instanceof Uint8Array
    ? Buffer.compare(one, other) === 0
    : one === other;
}

/** Tells whether the rows of a bulk match its fingerprint. */
function hasRecordedContent(first: StoredRow, rows: readonly StoredRow[]): boolean {
  if (!isFingerprint(first.fingerprint)) return false;
  if (!rows.every(({ currency }) => isCurrency(currency))) return false;
  return hasSameContent(textOf(first.fingerprint), (version) =>
    recordedBulkFingerprint(textOf(first.iban), rows.map(recordedTransferOf), version),
  );
}

function recordedTransferOf(row: StoredRow): RecordedTransfer {
  return {
    amountMinor: BigInt(String(row.amount_minor)),
    currency: textOf(row.currency),
    counterpartyName: textOf(row.counterparty_name),
    counterpartyIban: textOf(row.counterparty_iban),
    counterpartyBic: row.counterparty_bic === null ? null : textOf(row.counterparty_bic),
    description: textOf(row.description),
    endToEndId: row.end_to_end_id === null ? null : textOf(row.end_to_end_id),
  };
}

const creditFingerprints: RowRule = {
  statement: 'the fingerprint of a credit with a key matches its values',
  watch: () => ({
    see: ({ id, fingerprint, iban, amount_minor, currency, description }) => {
      if (fingerprint === null) return undefined;
      const isRight =
        isCurrency(currency) &&
        isFingerprint(fingerprint) &&
        hasSameContent(textOf(fingerprint), (version) =>
          creditFingerprint(
            {
              iban: textOf(iban),
              amount: formatAmount(BigInt(String(amount_minor)), textOf(currency)),
              currency: textOf(currency),
              description: textOf(description),
            },
            version,
          ),
        );
      return isRight ? undefined : { entry: hexOf(id) };
    },
  }),
};

const KEYS = {
  columns: 'id, organization_ids, revoked_at',
  source: 'api_key',
  key: ['id'],
} as const;

/**
 * Checks the organizations of API keys. A key is created for existing organizations, and organizations are never
 * deleted.
 */
const organizationsOfKeys: Check = {
  statements: ['the organizations of an API key that is not revoked exist'],
  run: async (em) => {
    const violations: Violation[] = [];
    for await (const page of pagesOf(em, KEYS)) {
      const keys = page
        .filter(({ revoked_at }) => revoked_at === null)
        .map(({ id, organization_ids }) => ({ id, ids: organizationsIn(organization_ids) }));
      const known = await organizationsAmong(em, new Set(keys.flatMap(({ ids }) => ids)));
      for (const { id, ids } of keys) {
        if (!ids.every((organization) => known.has(organization))) {
          violations.push({ apiKey: hexOf(id) });
        }
      }
    }
    const [statement = ''] = organizationsOfKeys.statements;
    return [{ statement, violations: violations.slice(0, VIOLATIONS_LISTED_MAX) }];
  },
};

/** Returns the organizations of a stored list in the form of SQL's hex(). Another invariant reports invalid ids. */
function organizationsIn(list: unknown): string[] {
  return textOf(list).split(',').filter(isId).map(hexOfId);
}

/** Limits the organizations of one query. */
const ORGANIZATIONS_MAX = 1_000;

async function organizationsAmong(
  em: EntityManager,
  wantedIds: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const known = new Set<string>();
  const ids = [...wantedIds];
  for (let start = 0; start < ids.length; start += ORGANIZATIONS_MAX) {
    const some = ids.slice(start, start + ORGANIZATIONS_MAX).map((id) => `x'${id}'`);
    const rows: { id: string }[] = await em.execute(
      `select hex(id) as id from organization where id in (${some.join(',')})`,
    );
    for (const { id } of rows) known.add(id);
  }
  return known;
}

export const ROW_CHECKS: readonly Check[] = [
  rowCheck({ columns: 'id, name', source: 'organization', key: ['id'] }, [
    formRule("an organization's id and name are well-formed", rowOf('organization'), {
      id: isStoredId,
      name: text(NAME),
    }),
  ]),
  rowCheck(
    {
      columns: 'id, short_id, organization_id, organization_name, iban, bic, currency',
      source: 'account',
      key: ['id'],
    },
    [
      formRule("an account's ids, texts and currency are well-formed", rowOf('account'), {
        id: isStoredId,
        organization_id: isStoredId,
        organization_name: text(NAME),
        iban: isIban,
        bic: isStoredBic,
        currency: isCurrency,
      }),
      shortIds,
    ],
  ),
  rowCheck(
    {
      columns: 'id, account_id, sequence, created_at, idempotency_key, fingerprint',
      source: 'bulk_transfer',
      key: ['id'],
    },
    [
      formRule("a bulk's key and fingerprint are well-formed", rowOf('bulk'), {
        idempotency_key: absentOr(isKey),
        fingerprint: absentOr(isFingerprint),
      }),
      bulkIds,
    ],
  ),
  rowCheck(
    {
      columns: `b.id as bulk_transfer_id, t.account_id, t.position, t.amount_minor, b.currency,
        t.counterparty_name, t.counterparty_name_folded, t.counterparty_iban, t.counterparty_bic,
        t.description, t.end_to_end_id, b.fingerprint, a.iban`,
      source: `transfer t left join bulk_transfer b on b.account_id = t.account_id
          and b.sequence = ${sequenceSql('t.position')}
        left join account a on a.id = t.account_id`,
      key: ['t.account_id', 't.position'],
    },
    [
      formRule("a transfer's texts are well-formed", placeOf, {
        counterparty_name: text(NAME),
        counterparty_iban: isIban,
        counterparty_bic: absentOr(isStoredBic),
        description: text(DESCRIPTION),
        end_to_end_id: absentOr(text(END_TO_END_ID)),
      }),
      foldedNames('the folded name of a transfer matches its name'),
      endToEndIds,
      bulkFingerprints,
    ],
  ),
  rowCheck(
    {
      columns: 'account_id, position, counterparty_name, counterparty_name_folded',
      source: 'incoming_transfer',
      key: ['account_id', 'position'],
    },
    [foldedNames("the folded name of a payer matches the payer's name")],
  ),
  rowCheck(
    {
      columns: `e.id, e.account_id, e.sequence, e.kind, e.idempotency_key, e.fingerprint,
        e.amount_minor, e.currency, e.description, a.iban`,
      source: 'ledger_entry e left join account a on a.id = e.account_id',
      key: ['e.account_id', 'e.sequence'],
    },
    [
      formRule("a ledger entry's id, kind, key and texts are well-formed", rowOf('entry'), {
        id: isStoredId,
        kind: oneOf(LEDGER_ENTRY_KINDS),
        idempotency_key: absentOr(isKey),
        fingerprint: absentOr(isFingerprint),
        description: text(DESCRIPTION),
      }),
      creditFingerprints,
    ],
  ),
  rowCheck({ columns: 'id, type, leased_by, traceparent', source: 'outbox_message', key: ['id'] }, [
    formRule(
      "an outbox message's id, type, relay and trace context are well-formed",
      rowOf('message'),
      {
        id: isStoredId,
        type: oneOf(OUTBOX_MESSAGE_TYPES),
        leased_by: absentOr(isStoredId),
        traceparent: absentOr(isTraceparent),
      },
    ),
  ]),
  rowCheck(
    { columns: 'id, consumer, message_id, type, reason', source: 'dead_letter', key: ['id'] },
    [
      formRule("a dead letter's id, names and reason are well-formed", rowOf('deadLetter'), {
        id: isStoredId,
        consumer: isShortString,
        message_id: isShortString,
        type: isShortString,
        reason: (value) => isStoredReason(String(value)),
      }),
    ],
  ),
  rowCheck(
    {
      columns: 'id, prefix, secret_hash, name, organization_ids, roles',
      source: 'api_key',
      key: ['id'],
    },
    [
      formRule("an API key's id, prefix, hash, name and access are well-formed", rowOf('apiKey'), {
        id: isStoredId,
        prefix: isPrefix,
        secret_hash: isHash,
        name: text(NAME),
        organization_ids: (value) => value === '' || listOf(isId)(value),
        roles: listOf((role) => (ROLES as readonly string[]).includes(role)),
      }),
    ],
  ),
  organizationsOfKeys,
  rowCheck(
    {
      columns: 'id, action, outcome, remote_address, request_id',
      source: 'audit_entry',
      key: ['id'],
    },
    [
      formRule("an audit entry's action, outcome and origin are well-formed", rowOf('audit'), {
        id: isStoredId,
        action: oneOf(AUDITED_ACTIONS),
        outcome: oneOf(AUDITED_OUTCOMES),
        remote_address: isAddress,
        request_id: isRequestId,
      }),
    ],
  ),
];
