import { expect } from 'vitest';
import type { Client } from '../../support/client.js';
import type { Answered, Load, Row } from './load.js';

/** What the ledger has of accounts, in the order of commit. */
export interface Committed {
  /** Ids of an account's transfers. */
  readonly transfers: ReadonlyMap<string, readonly string[]>;
  readonly bulks: readonly string[];
  /** Of ledger entries: money from outside. */
  readonly credits: readonly string[];
}

/** What the transfer of an account says that no client of the load sent. */
export const FIRST_DESCRIPTION = 'The first';

/**
 * Holds a ledger to what its clients were told: what was acknowledged exists exactly once, with its
 * content, and what was refused does not exist.
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
  /** By key: each bulk or credit that has its rows. */
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

/** The bulks of an account with their rows, oldest first. */
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

/** Money from outside, oldest first; the opening balance says nothing. */
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

/** Every node of one of an account's lists, page by page, oldest first. */
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
    // The list is newest first, and so is a page of its last: both are turned around.
    pages.push(account.list.nodes.toReversed());
    before = account.list.pageInfo.startCursor;
    if (!account.list.pageInfo.hasPreviousPage) return pages.flat();
  }
}
