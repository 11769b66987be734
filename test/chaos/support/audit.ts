import { expect } from 'vitest';
import type { Client } from '../../support/client.js';
import type { Answered, Load, Row } from './load.js';

/** The content of the ledger for some accounts, in commit order. */
export interface Committed {
  /** Transfer ids by account. */
  readonly transfers: ReadonlyMap<string, readonly string[]>;
  readonly bulks: readonly string[];
  /** Ids of the ledger entries of credits from outside. */
  readonly credits: readonly string[];
}

/** The description of an account's first transfer, which no client of the load sends. */
export const FIRST_DESCRIPTION = 'The first';

/**
 * Compares the ledger with the answers that its clients got. Every acknowledged request exists exactly once, with its
 * content; no refused request exists.
 */
export async function audit(
  client: Client,
  { answered }: Load,
  ibans: readonly string[],
): Promise<Committed> {
  const committed = {
    transfers: new Map<string, string[]>(),
    bulks: [] as string[],
    credits: [] as string[],
  };
  /** The bulks and credits of each idempotency key. */
  const found = new Map<string, Found[]>();
  const addFound = (key: string, one: Found) => found.set(key, [...(found.get(key) ?? []), one]);
  for (const iban of ibans) {
    const { bulks, transfers } = await bulksOf(client, iban);
    committed.transfers.set(iban, transfers);
    committed.bulks.push(...bulks.map(({ id }) => id));
    for (const { rows, ...bulk } of bulks) addFound(keyOf(rows), { ...bulk, rows });
    for (const { id, description } of await creditsOf(client, iban)) {
      committed.credits.push(id);
      if (description !== '')
        addFound(description.split('/')[0] ?? '', { id, idempotencyKey: null });
    }
  }
  expectAcknowledgedOnce(answered, found);
  return committed;
}

interface Found {
  readonly id: string;
  readonly idempotencyKey: string | null;
  readonly rows?: readonly Row[];
}

function keyOf(rows: readonly Row[]): string {
  const keys = new Set(rows.map(({ description }) => description.split('/')[0]));
  return [...keys].join(' and ');
}

function expectAcknowledgedOnce(answered: readonly Answered[], found: Map<string, Found[]>): void {
  const performed = answered.filter(
    ({ id, request }) => id !== undefined && request.expected !== 'IdempotencyKeyReused',
  );
  const expected = new Map(performed.map(({ request, id }) => [request.key, { request, id }]));
  const wrong: unknown[] = [];
  for (const { request, id } of performed) {
    const [one, ...more] = found.get(request.key) ?? [];
    if (!one || one.id !== id || more.length > 0) wrong.push({ request, id, one, more });
    else if (request.rows) {
      const rows = request.rows.map(({ amount, ...row }) => ({
        ...row,
        amount: Number(amount).toFixed(2),
      }));
      const isSame =
        JSON.stringify(rows.map(fingerprint)) === JSON.stringify(one.rows?.map(fingerprint));
      if (!isSame || one.idempotencyKey !== request.key) wrong.push({ request, one });
    }
  }
  const unrequested = [...found.keys()].filter(
    (key) => key !== FIRST_DESCRIPTION && !expected.has(key),
  );
  expect({ wrong, unrequested }).toEqual({ wrong: [], unrequested: [] });
  expect(performed.length).toBeGreaterThan(0);
}

const fingerprint = ({ amount, counterpartyName, counterpartyIban, description }: Row) => [
  amount,
  counterpartyName,
  counterpartyIban,
  description,
];

/** Returns the bulks of an account with their rows, oldest first. */
async function bulksOf(client: Client, iban: string) {
  const bulks = new Map<string, Found & { readonly rows: Row[] }>();
  const transfers: string[] = [];
  const nodes = await everyNode(
    client,
    'transfers',
    iban,
    `id amount { amount } counterpartyName
    counterpartyIban description bulkTransfer { id idempotencyKey }`,
  );
  for (const { id, amount, bulkTransfer, ...row } of nodes) {
    transfers.push(id);
    const bulk = bulks.get(bulkTransfer.id) ?? { ...bulkTransfer, rows: [] };
    bulks.set(bulkTransfer.id, bulk);
    bulk.rows.push({ ...row, amount: amount.amount });
  }
  return { bulks: [...bulks.values()], transfers };
}

/** Returns the credits from outside, oldest first. The opening balance has an empty description. */
async function creditsOf(
  client: Client,
  iban: string,
): Promise<{ id: string; description: string }[]> {
  const entries = await everyNode(client, 'entries', iban, 'id kind description');
  return entries
    .filter(({ kind }) => kind === 'INCOMING_TRANSFER')
    .map(({ id, description }) => ({
      id,
      description: description.includes('/') ? description : '',
    }));
}

/** Returns every node of one of an account's lists, page by page, oldest first. */
export async function everyNode(
  client: Client,
  list: string,
  iban: string,
  fields: string,
  // biome-ignore lint/suspicious/noExplicitAny: what comes back is what the caller asked for
): Promise<any[]> {
  // biome-ignore lint/suspicious/noExplicitAny: what comes back is what the caller asked for
  const pages: any[][] = [];
  let before: string | null = null;
  for (;;) {
    const { account } = await client.data(
      `query ($iban: String!, $before: Cursor) { account(iban: $iban) {
        list: ${list}(last: 100, before: $before) {
          nodes { ${fields} } pageInfo { hasPreviousPage startCursor }
        }
      } }`,
      { iban, before },
    );
    // The list and its pages are newest first, so each page is reversed.
    pages.push(account.list.nodes.toReversed());
    before = account.list.pageInfo.startCursor;
    if (!account.list.pageInfo.hasPreviousPage) return pages.flat();
  }
}
