import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  type CreditAccountRequest,
  makeCreditAccount,
} from '../../src/application/credit-account.js';
import { makePerformBulkTransfer } from '../../src/application/perform-bulk-transfer.js';
import type { UnitOfWork } from '../../src/application/ports/unit-of-work.js';
import type { BulkTransferRequest } from '../../src/domain/bulk-transfer.js';
import { PROGRAM } from '../../src/domain/caller.js';
import { DomainError } from '../../src/domain/errors.js';
import { makeNewId } from '../../src/domain/id.js';
import { LedgerEntry } from '../../src/entities/ledger-entry.entity.js';
import { OutboxMessage } from '../../src/entities/outbox-message.entity.js';
import { EventLoopTurns } from '../../src/infrastructure/fair-turns.js';
import { MikroOrmLedgerReader } from '../../src/infrastructure/ledger/ledger-reader.js';
import { MikroOrmUnitOfWork } from '../../src/infrastructure/ledger/unit-of-work.js';
import { BulkMeter } from '../../src/infrastructure/observability/bulk-meter.js';
import { NO_PUBLISHER } from '../../src/infrastructure/outbox/outbox.js';
import { ACME, aBulk, aTransfer, GLOBEX, ibanOf, transfersOf } from '../support/builders.js';
import { startServer, type TestServer, untilPublished } from '../support/server.js';

const newId = makeNewId(() => new Date());

type Step = { readonly perform: BulkTransferRequest } | { readonly credit: CreditAccountRequest };

/**
 * Steps with amounts that the balance covers, that empty the account, and that are refused; repeated keys; book
 * transfers.
 */
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc
      .record({
        amounts: fc.array(fc.constantFrom('0.01', '12.5', '30000', '70000'), {
          minLength: 1,
          maxLength: 3,
        }),
        key: fc.constantFrom(undefined, undefined, 'a', 'b', 'c'),
        iban: fc.constantFrom(GLOBEX, ibanOf(1)),
      })
      .map(({ amounts, key, iban }) => ({
        perform: {
          organizationIban: ACME,
          idempotencyKey: key,
          creditTransfers: amounts.map((amount) => ({
            amount,
            counterpartyName: 'Bip Bip',
            counterpartyIban: iban,
            description: '',
          })),
        },
      })),
  },
  {
    weight: 1,
    arbitrary: fc
      .record({ amount: fc.constantFrom('5', '25000'), key: fc.constantFrom(undefined, 'a', 'd') })
      .map(({ amount, key }) => ({
        credit: { iban: ACME, amount, description: '', idempotencyKey: key },
      })),
  },
);

/** Runs steps on a server's database, concurrently or one by one, in the order in which units of work arrive. */
function useCasesOf({ database }: TestServer) {
  const unitOfWork = new MikroOrmUnitOfWork(database, 30_000, NO_PUBLISHER);
  const order: object[] = [];
  const reader = new MikroOrmLedgerReader(database);
  const noting = (step: object): UnitOfWork => ({
    run: (request, work) => {
      order.push(step);
      return unitOfWork.run(request, work);
    },
  });
  const run = async (step: Step): Promise<unknown> => {
    const ports = { reader, unitOfWork: noting(step), clock: () => new Date(), newId };
    const rules = { ibanCheck: 'format', transfersMax: 100 } as const;
    try {
      if ('credit' in step) {
        const { account, entry, replayed } = await makeCreditAccount(ports)(step.credit, PROGRAM);
        return { balance: account.balanceMinor, sequence: entry.sequence, replayed };
      }
      const { account, bulkTransfer, replayed } = await makePerformBulkTransfer({
        ...ports,
        rules,
        turns: new EventLoopTurns(),
        runPhase: new BulkMeter().runPhase,
      })(step.perform, PROGRAM);
      return { balance: account.balanceMinor, sequence: bulkTransfer.sequence, replayed };
    } catch (error) {
      if (!(error instanceof DomainError)) throw error;
      const { rejection } = error;
      return rejection.code === 'INSUFFICIENT_FUNDS' ? rejection : rejection.code;
    }
  };
  return { run, order };
}

async function historyOf({ client }: TestServer): Promise<unknown> {
  const entries = `entries(first: 100) { nodes { sequence kind amount { amount } balanceAfter { amount } } }`;
  return client.data(`{ acme: account(iban: "${ACME}") { sequence balance { amount } ${entries}
      transfers(first: 100) { nodes { index amount { amount } counterpartyIban } } }
    globex: account(iban: "${GLOBEX}") { balance { amount } } }`);
}

test('the same requests give the same answers and history, whether grouped or one by one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 25 }), async (steps) => {
      const grouped = await startServer();
      const oneByOne = await startServer();

      const { run, order } = useCasesOf(grouped);
      const answers = new Map<object, unknown>();
      await Promise.all(steps.map(async (each) => answers.set(each, await run(each))));
      const alone = useCasesOf(oneByOne);
      for (const each of order) {
        expect([each, answers.get(each)]).toEqual([each, await alone.run(each as Step)]);
      }

      expect(await historyOf(grouped)).toEqual(await historyOf(oneByOne));
    }),
    { numRuns: 12 },
  );
});

test('requests that wait for one account are committed together, and each has its own answer', async () => {
  const server = await startServer();
  await untilPublished(server);
  const commits = countCommits(server.database);
  const { run } = useCasesOf(server);

  const answers = await Promise.all(
    Array.from({ length: 60 }, () =>
      run({ perform: { organizationIban: ACME, creditTransfers: [rowOf('1')] } }),
    ),
  );

  expect(answers).toEqual(
    Array.from({ length: 60 }, (_, number) => ({
      balance: 10_000_000n - BigInt(number + 1) * 100n,
      sequence: BigInt(number + 2),
      replayed: false,
    })),
  );
  expect(commits()).toBeLessThan(10);
});

/** Counts the transactions that are committed from now on. */
function countCommits({ orm }: TestServer['database']): () => number {
  const connection = orm.em.getConnection();
  let count = 0;
  const commit = connection.commit.bind(connection);
  connection.commit = async (...args) => {
    count += 1;
    await commit(...args);
  };
  return () => count;
}

test('a member that the database refuses fails without the others', async () => {
  const server = await startServer();
  await untilPublished(server);
  const { client, database } = server;
  const { account } = await client.data(`{ account(iban: "${ACME}") { id } }`);
  const unitOfWork = new MikroOrmUnitOfWork(database, 30_000, NO_PUBLISHER);
  /** Credits a cent, and records it with the next sequence or with the given one. */
  const credit = (number?: bigint) =>
    unitOfWork.run(
      { organizationId: account.id, accountIds: [account.id], rowCount: 1 },
      (ledger) => {
        const credited = ledger.account(account.id);
        const { sequence, ...posting } = credited.post(1n, new Date());
        const recorded = { ...posting, sequence: number ?? sequence };
        const facts = { id: newId(), kind: 'INCOMING_TRANSFER', description: '' } as const;
        ledger.record({
          entries: [LedgerEntry.of(credited, recorded, facts)],
          message: OutboxMessage.of({
            id: newId(),
            type: 'account.credited',
            subjectId: account.id,
            sequence,
            createdAt: posting.at,
          }),
        });
      },
    );
  const commits = countCommits(database);

  const outcomes = await Promise.allSettled([credit(), credit(1n), credit()]);

  expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  expect(await client.balance(ACME)).toBe('100000.02');
  // The requests were in one group first, and then each was alone.
  expect(commits()).toBeGreaterThanOrEqual(2);
});

const rowOf = (amount: string) => ({
  amount,
  counterpartyName: 'Bip Bip',
  counterpartyIban: ibanOf(1),
  description: '',
});

test('a large bulk and many small ones of one account are all performed', async () => {
  const { client } = await startServer({ LOCK_TIMEOUT_MS: '60000' });

  const answers = await Promise.all([
    client.perform(aBulk(transfersOf(9_000, '0.01'))),
    client.perform(aBulk(transfersOf(9_000, '0.01'))),
    ...Array.from({ length: 30 }, () => client.perform(aBulk([aTransfer()]))),
  ]);

  expect(answers.every(({ __typename }) => __typename === 'BulkTransferPerformed')).toBe(true);
  expect(await client.balance(ACME)).toBe('99790.00');
});
