/**
 * Every read of a resolver is limited to the caller's organizations by its own SQL statement, whatever ids the
 * resolver passes to it.
 */
import { isDeepStrictEqual } from 'node:util';
import { expect, test } from 'vitest';
import type { ListPage } from '../../src/application/ports/page.js';
import type { ScopedLedgerReader } from '../../src/application/ports/scoped-ledger-reader.js';
import type { OrganizationScope } from '../../src/domain/caller.js';
import { firstPositionOf } from '../../src/domain/postings.js';
import { MikroOrmScopedLedgerReader } from '../../src/infrastructure/ledger/scoped-ledger-reader.js';
import { SEARCH_COLUMNS } from '../../src/infrastructure/search/search-tables.js';
import {
  ACME,
  aBulk,
  aTransfer,
  GLOBEX,
  INITECH,
  ibanOf,
  transfersOf,
} from '../support/builders.js';
import {
  BACKGROUND_STATEMENT,
  NO_CATCHING_UP,
  startServer,
  untilQuiet,
} from '../support/server.js';
import { DIALECT } from '../support/test-database.js';

const KEY = 'november-payroll';
const NOW = new Date();
const A_WEEK = {
  from: new Date(NOW.getTime() - 86_400_000),
  to: new Date(NOW.getTime() + 86_400_000 * 6),
};

/** The names of ACME's rows: the last bulk, its first transfer, and an incoming transfer. */
interface Owned {
  readonly organizationId: string;
  readonly accountId: string;
  readonly bulkId: string;
  readonly sequence: bigint;
  readonly transferId: string;
  readonly entryId: string;
  readonly incomingId: string;
  readonly incomingPosition: bigint;
}

type Reads = Readonly<
  Record<keyof ScopedLedgerReader, (reader: ScopedLedgerReader, owned: Owned) => Promise<unknown>[]>
>;

const PAGE = { size: 10, fromEnd: false } as const;

/** Returns the ids of a page's nodes, and the list's count if it is not zero. */
async function found(page: Promise<ListPage<{ readonly id: string }>>): Promise<unknown[]> {
  const { nodes, hasNextPage, hasPreviousPage, count } = await page;
  expect([hasNextPage, hasPreviousPage]).toEqual([false, false]);
  const counted = await count();
  return [...nodes.map(({ id }) => id), ...(counted === 0 ? [] : [counted])];
}

/** Filters that are served by the list's own index, by another index, and by examining rows. */
const FILTERS = [
  {},
  A_WEEK,
  { counterpartyIban: ACME },
  { counterpartyIban: GLOBEX },
  { counterpartyNamePrefix: '' },
  { amountMinorMin: 1n },
  { amountMinorMin: 1n, ...A_WEEK },
  { amountMinorMin: 1n, counterpartyNamePrefix: 'a' },
  { endToEndId: 'E1', counterpartyIban: GLOBEX },
];

/** Calls of each read for a row of ACME's. A read without an entry does not compile. */
const READS: Reads = {
  accountByIban: (reader) => [reader.accountByIban(ACME)],
  bulkTransferByKey: (reader, { accountId }) => [reader.bulkTransferByKey(accountId, KEY)],
  accountsById: (reader, { accountId }) => [reader.accountsById([accountId])],
  organizationsById: (reader, { organizationId }) => [reader.organizationsById([organizationId])],
  bulkTransfersById: (reader, { bulkId }) => [reader.bulkTransfersById([bulkId])],
  transfersById: (reader, { transferId }) => [reader.transfersById([transferId])],
  entriesById: (reader, { entryId }) => [reader.entriesById([entryId])],
  incomingTransfersById: (reader, { incomingId }) => [reader.incomingTransfersById([incomingId])],
  hasPlace: (reader, owned) => [
    reader.hasPlace({ kind: 'account', ownerId: '' }, { position: owned.accountId }),
    ...(
      [
        ['bulk-transfer', owned.sequence, owned.bulkId],
        ['transfer', firstPositionOf(owned.sequence), owned.transferId],
        ['ledger-entry', owned.sequence, owned.entryId],
        ['incoming-transfer', owned.incomingPosition, owned.incomingId],
      ] as const
    ).flatMap(([kind, position, rowId]) => [
      reader.hasPlace({ kind, ownerId: owned.accountId }, { position, rowId }),
      reader.hasPlace({ kind, ownerId: owned.accountId }, { position }),
    ]),
  ],
  organizations: (reader, { organizationId }) => [
    reader.organizations(10).then((all) => all.filter(({ id }) => id === organizationId)),
  ],
  accountIds: (reader, { accountId }) => [
    reader.accountIds(10).then((ids) => ids.filter((id) => id === accountId)),
  ],
  accounts: (reader, { organizationId }) => [found(reader.accounts(PAGE, organizationId))],
  bulkTransfers: (reader, { accountId }) => [found(reader.bulkTransfers(accountId, PAGE))],
  transfers: (reader, { accountId }) =>
    FILTERS.map((filter) => found(reader.transfers(accountId, filter, PAGE))),
  incomingTransfers: (reader, { accountId }) =>
    FILTERS.map((filter) => found(reader.incomingTransfers(accountId, filter, PAGE))),
  transfersOfBulk: (reader, bulk) => [found(reader.transfersOfBulk(bulk, PAGE))],
  entries: (reader, { accountId }) =>
    [{}, { first: 1n, last: 9n }].map((within) =>
      found(reader.entries(accountId, within, 'newest-first', PAGE)),
    ),
  lastEntryUntil: (reader, { accountId }) => [reader.lastEntryUntil(accountId, A_WEEK.to)],
  entryTotals: (reader, { accountId }) => [
    reader
      .entryTotals(accountId, { first: 1n, last: 9n })
      .then(({ debitsMinor, creditsMinor }) => debitsMinor > 0n && creditsMinor > 0n),
  ],
  paidNames: (reader, { accountId }) => [reader.paidNames(accountId, [GLOBEX, ibanOf(1)], 99n)],
};

const NOTHING = [[], [null], null, false];
const isSomething = (answer: unknown) =>
  !NOTHING.some((nothing) => isDeepStrictEqual(answer, nothing));

/** A server on which ACME has paid and been paid, and the names of ACME's rows. */
async function startWorld() {
  const server = await startServer();
  const { client, database } = server;
  const readerOf = (organizations: OrganizationScope) =>
    new MikroOrmScopedLedgerReader(database, NO_CATCHING_UP, organizations, { key: 'caller' });
  for (const organizationIban of [GLOBEX, INITECH]) {
    await client.perform({
      organizationIban,
      creditTransfers: [
        aTransfer({ counterpartyIban: ACME, endToEndId: 'E1' }),
        aTransfer({ counterpartyIban: ACME }),
      ],
    });
  }
  const sent = [
    aTransfer({ counterpartyIban: GLOBEX, endToEndId: 'E1' }),
    aTransfer({ counterpartyIban: ibanOf(1) }),
  ];
  await client.perform(aBulk(sent, { idempotencyKey: KEY }));
  const { account, globex } = await client.data(`{
    globex: account(iban: "${GLOBEX}") { organizationId }
    account(iban: "${ACME}") { id organizationId
      bulkTransfers { nodes { id transfers { nodes { id } } } }
      entries(first: 1) { nodes { id sequence } } incomingTransfers { nodes { id } } } }`);
  const [bulk] = account.bulkTransfers.nodes;
  const [entry] = account.entries.nodes;
  const incomingId = account.incomingTransfers.nodes[0].id;
  const [incoming] = await readerOf('all').incomingTransfersById([incomingId]);
  if (!incoming) throw new Error('ACME has received nothing');
  const owned: Owned = {
    organizationId: account.organizationId,
    accountId: account.id,
    bulkId: bulk.id,
    sequence: BigInt(entry.sequence),
    transferId: bulk.transfers.nodes[0].id,
    entryId: entry.id,
    incomingId,
    incomingPosition: incoming.position,
  };
  return { server, readerOf, owned, globexId: globex.organizationId };
}

test('no read finds a row of an account of another organization', async () => {
  const { readerOf, owned, globexId } = await startWorld();

  for (const [name, read] of Object.entries(READS)) {
    const answersFor = async (organizations: OrganizationScope) => [
      name,
      ...(await Promise.all(read(readerOf(organizations), owned))),
    ];
    const all = await answersFor('all');
    expect([name, all.slice(1).some(isSomething)]).toEqual([name, true]);
    expect(await answersFor([owned.organizationId])).toEqual(all);
    expect(await answersFor([globexId, owned.organizationId])).toEqual(all);
    for (const organizations of [[globexId], [], [`') or (1 = 1`]]) {
      expect((await answersFor(organizations)).filter(isSomething)).toEqual([name]);
    }
  }
});

/** Returns the steps of a plan that read a table other than account, or that sort. */
function stepsOf(plan: readonly Record<string, unknown>[]): string[] {
  const steps = plan.map(({ detail, table, type, key, Extra }) =>
    DIALECT === 'mysql'
      ? `${table} ${type} ${key}${String(Extra).includes('filesort') ? ' filesort' : ''}`
      : String(detail),
  );
  return steps.filter((step) => !/^(SEARCH )?account |^<derived|SUBQUERY/.test(step));
}

test('a scoped read uses the same indexes as an unscoped read', async () => {
  const { server, readerOf, owned } = await startWorld();
  const { client, database } = server;
  for (let bulk = 0; bulk < 20; bulk += 1) await client.perform(aBulk(transfersOf(100)));
  await untilQuiet(server);
  const { orm } = database;
  // Statistics that are recalculated meanwhile would change the plans.
  const searched = SEARCH_COLUMNS.map(({ name }) => name).join(', ');
  if (DIALECT === 'mysql')
    await orm.em.execute(
      `analyze table transfer, bulk_transfer, ledger_entry, incoming_transfer, ${searched}`,
    );
  const connection = orm.em.getConnection();
  const execute = connection.execute.bind(connection);
  const explain = DIALECT === 'mysql' ? 'explain format=traditional ' : 'explain query plan ';
  const before = firstPositionOf(owned.sequence + 10n);
  const { accountId } = owned;
  const reads: ((reader: ScopedLedgerReader) => Promise<unknown>)[] = [
    (reader) => reader.bulkTransfers(accountId, { ...PAGE, after: owned.sequence + 9n }),
    (reader) => reader.transfers(accountId, {}, { ...PAGE, after: before }),
    (reader) => reader.transfers(accountId, {}, { ...PAGE, before }),
    (reader) => reader.incomingTransfers(accountId, {}, { ...PAGE, after: before }),
    (reader) => reader.transfersOfBulk(owned, { ...PAGE, after: before }),
    (reader) =>
      reader.entries(accountId, {}, 'newest-first', { ...PAGE, after: owned.sequence + 9n }),
    ...FILTERS.map(
      (filter) => (reader: ScopedLedgerReader) =>
        reader.transfers(accountId, filter, PAGE).then(({ count }) => count()),
    ),
    ...(['lastEntryUntil', 'entryTotals', 'paidNames'] as const).map(
      (name) => (reader: ScopedLedgerReader) => Promise.all(READS[name](reader, owned)),
    ),
  ];

  const plansFor = async (organizations: OrganizationScope) => {
    const sent: [string, never | undefined][] = [];
    connection.execute = (statement: string, ...rest: never[]) => {
      // The probe of the database sends statements as well.
      if (/account_id/.test(statement) && !BACKGROUND_STATEMENT.test(statement))
        sent.push([statement, rest[0]]);
      return execute(statement, ...rest);
    };
    for (const read of reads) await read(readerOf(organizations));
    connection.execute = execute;
    const plans: string[][] = [];
    for (const [statement, parameters] of sent)
      plans.push(stepsOf(await execute(explain + statement, parameters)));
    return plans;
  };

  const ofAll = await plansFor('all');
  expect(ofAll.length).toBeGreaterThan(reads.length);
  expect(await plansFor([owned.organizationId])).toEqual(ofAll);
});
