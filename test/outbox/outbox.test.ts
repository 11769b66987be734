import type { QueryResult } from '@mikro-orm/core';
import { expect, test } from 'vitest';
import { makeCreditAccount } from '../../src/application/credit-account.js';
import type { AccountHead } from '../../src/application/ports/account-head.js';
import { PROGRAM } from '../../src/domain/caller.js';
import { makeNewId } from '../../src/domain/id.js';
import { Account } from '../../src/entities/account.entity.js';
import { AuditEntry } from '../../src/entities/audit-entry.entity.js';
import { BulkTransfer } from '../../src/entities/bulk-transfer.entity.js';
import { LedgerEntry } from '../../src/entities/ledger-entry.entity.js';
import { Organization } from '../../src/entities/organization.entity.js';
import { DUE_AT_ONCE, OutboxMessage } from '../../src/entities/outbox-message.entity.js';
import type { Broker } from '../../src/infrastructure/broker/broker.js';
import { MikroOrmLedgerReader } from '../../src/infrastructure/ledger/ledger-reader.js';
import { MikroOrmUnitOfWork } from '../../src/infrastructure/ledger/unit-of-work.js';
import { makeLogger } from '../../src/infrastructure/observability/logger.js';
import type { CloudEvent, EventMessage } from '../../src/infrastructure/outbox/events.js';
import { type Lease, Outbox, type Publisher } from '../../src/infrastructure/outbox/outbox.js';
import { Relay, type RelayPorts } from '../../src/infrastructure/outbox/relay.js';
import { ACME, aBulk, aTransfer, transfersOf } from '../support/builders.js';
import { startServer, type TestServer, untilPublished } from '../support/server.js';

const OUTBOX = `{ outbox {
  due oldestDueSince parked
  parkedMessages { type attempts lastError parkedAt sequence account { iban } }
} }`;

test('every message is published soon after its commit', async () => {
  const server = await startServer();
  await server.client.perform(aBulk(transfersOf(5)));

  await untilPublished(server);

  const { outbox } = await server.client.data(OUTBOX);
  expect(outbox).toEqual({ due: 0, oldestDueSince: null, parked: 0, parkedMessages: [] });
});

test('a message that cannot be published is parked after its attempts, and operators see the reason', async () => {
  const server = await startServer();
  await untilPublished(server);
  const outbox = new Outbox(server.database.orm);
  const [{ id } = { id: '' }] = await server.database.orm.em
    .fork()
    .execute('select hex(id) as id from outbox_message order by created_at limit 1');
  // The message has one attempt left, and its bulk does not exist.
  await server.database.orm.em.fork().execute(
    `update outbox_message set published_at = null, attempts = 19, due_at = created_at,
      sequence = 77 where id = x'${id}'`,
  );

  await expect.poll(async () => (await outbox.counts()).parked).toBe(1);

  const answer = await server.client.data(OUTBOX);
  expect(answer.outbox).toMatchObject({
    due: 0,
    parked: 1,
    parkedMessages: [
      { attempts: 20, lastError: 'The ledger entry does not exist', sequence: '77' },
    ],
  });
  expect(await (await fetch(`${server.url}/metrics`)).text()).toContain(
    'virement_outbox_messages{state="parked"} 1',
  );
  expect(server.log).toContainEqual(
    expect.objectContaining({ level: 50, msg: 'Outbox message parked', attempts: 20 }),
  );
  await server.database.orm.em.fork().execute(`update outbox_message set sequence = 1,
    parked_at = null, last_error = null, published_at = created_at where id = x'${id}'`);
});

/** Sets the time of all rows. */
async function moveLedgerTo({ database }: TestServer, at: Date): Promise<void> {
  const em = database.orm.em.fork();
  await em.nativeUpdate(Organization, {}, { createdAt: at });
  await em.nativeUpdate(Account, {}, { createdAt: at, updatedAt: at });
  await em.nativeUpdate(LedgerEntry, {}, { createdAt: at });
  await em.nativeUpdate(OutboxMessage, {}, { createdAt: at });
  await em.nativeUpdate(AuditEntry, {}, { at });
}

/** Returns a lease of a relay that runs and does nothing. */
async function leaseFor({ database }: TestServer, seconds: number): Promise<Lease> {
  await database.presence.announce(IDLE_RELAY);
  return { holder: IDLE_RELAY, end: inSeconds(seconds) };
}

const IDLE_RELAY = '01900000-0000-7000-8000-0000000000aa';

const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000);

/** Starts a server whose relay claims nothing, because no broker listens at that port. */
const startWithoutBroker = () => startServer({ AMQP_URL: 'amqp://127.0.0.1:1' });

test('two relays never claim the same message at once', async () => {
  const server = await startWithoutBroker();
  for (let bulk = 0; bulk < 40; bulk += 1) await server.client.perform(aBulk([aTransfer()]));
  const outbox = new Outbox(server.database.orm);

  const lease = await leaseFor(server, 60);

  const claims = await Promise.all(
    Array.from({ length: 8 }, () => outbox.claim(new Date(), 10, lease)),
  );

  const ids = claims.flat().map(({ id }) => id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.length).toBeGreaterThan(0);
});

test('a message from a clock that was ahead does not wait for the other clocks', async () => {
  const server = await startWithoutBroker();
  const outbox = new Outbox(server.database.orm);
  const lease = await leaseFor(server, 60);
  const tomorrow = new Date(Date.now() + 86_400_000);
  await moveLedgerTo(server, tomorrow);
  const { bulkTransfer } = await server.client.perform(aBulk([aTransfer()]));
  expect(bulkTransfer.transferCount).toBe(1);

  // The message is due although its times are a day ahead: first as it was posted, then as a relay with the same clock
  // leaves it.
  expect(await outbox.claim(new Date(), 100, lease)).toHaveLength(4);
  expect(await outbox.claim(new Date(), 100, lease)).toHaveLength(0);
  await server.database.orm.em.fork().execute('update outbox_message set due_at = ?', [tomorrow]);
  expect(await outbox.claim(new Date(), 100, lease)).toHaveLength(4);
});

test('published messages are deleted after their retention, and no others', async () => {
  const server = await startServer();
  await untilPublished(server);
  const em = server.database.orm.em.fork();
  // The time is before every row that verify expects to be kept.
  const longAgo = new Date(0);
  await em.nativeUpdate(OutboxMessage, {}, { publishedAt: longAgo });
  await moveLedgerTo(server, longAgo);
  const [first] = await em.find(OutboxMessage, {}, { orderBy: { id: 'asc' }, limit: 1 });
  const parked = { publishedAt: null, parkedAt: longAgo, attempts: 1, lastError: 'No route' };
  await em.nativeUpdate(OutboxMessage, { id: first?.id ?? '' }, parked);
  await server.client.perform(aBulk([aTransfer()]));
  await untilPublished(server);
  const outbox = new Outbox(server.database.orm);

  expect(await outbox.prune(longAgo)).toBe(0);
  expect(await outbox.prune(new Date(1))).toBe(2);

  const left = await em.fork().find(OutboxMessage, {}, { orderBy: { id: 'asc' } });
  expect(left.map(({ type }) => type)).toEqual(['account.credited', 'bulk-transfer.performed']);
});

test('an outage of the broker does not count as an attempt, but a refusal does', async () => {
  const server = await startWithoutBroker();
  const em = () => server.database.orm.em.fork();
  const attempts = async () => {
    const [row] = await em().execute('select sum(attempts) as attempts from outbox_message');
    return Number(row?.attempts);
  };
  const runOnce = async (broker: Broker) => {
    const relay = relayOf(server, broker);
    await relay.start();
    await expect.poll(() => broker.isReady).toBe(false);
    await relay.stop();
  };

  await runOnce(brokerThat('is down', { isReady: false }));
  await runOnce(brokerThat('goes away', { isReadyWhenPublishing: false }));
  expect(await attempts()).toBe(0);
  await runOnce(brokerThat('refuses', { isReadyWhenPublishing: true }));
  expect(await attempts()).toBe(3);
  const { outbox } = await server.client.data(OUTBOX);
  expect(outbox).toMatchObject({ due: 3, parked: 0 });
});

/** Returns a separate relay on a server's database. */
const relayOf = (
  { database }: TestServer,
  broker: Broker,
  onChange: RelayPorts['onChange'] = () => {},
) =>
  new Relay({
    outbox: new Outbox(database.orm),
    presence: database.presence,
    reader: new MikroOrmLedgerReader(database),
    broker,
    clock: () => new Date(),
    logger: makeLogger('silent'),
    onChange,
    retentionMs: 86_400_000,
  });

/** Credits a cent in a unit of work whose messages go to the publisher. */
const creditingFor = ({ database }: TestServer, publisher: Publisher) => {
  const credit = makeCreditAccount({
    reader: new MikroOrmLedgerReader(database),
    unitOfWork: new MikroOrmUnitOfWork(database, 30_000, publisher),
    clock: () => new Date(),
    newId: makeNewId(() => new Date()),
  });
  return () => credit({ iban: ACME, amount: '0.01', description: '' }, PROGRAM);
};

/** A broker that publishes when the test allows it, and records the events. */
class NotingBroker implements Broker {
  isReady = true;
  publications = 0;
  readonly events: CloudEvent[] = [];
  readonly #gate = Promise.withResolvers<void>();

  open(): void {
    this.#gate.resolve();
  }

  /** Returns the sequences of an account's published ledger entries. */
  sequencesOf(iban: string): unknown[] {
    return this.events
      .filter(({ data }) => data.accountIban === iban)
      .map(({ data }) => data.sequence);
  }

  async publish(events: AsyncIterable<EventMessage>): Promise<void> {
    this.publications += 1;
    await this.#gate.promise;
    for await (const { event } of events) this.events.push(event);
  }

  onEvent(): void {}
  onReady(): void {}
  async close(): Promise<void> {}
}

/** Waits until the relay has claimed the backlog. Later commits are handed over to it. */
const caughtUp = (relay: Relay) =>
  expect
    .poll(() => {
      const reservation = relay.reserve(1);
      reservation.cancel();
      return reservation.lease;
    })
    .toBeDefined();

/** Starts a relay that has claimed the backlog, and credits that are committed for it. */
async function startRelay() {
  const server = await startWithoutBroker();
  const broker = new NotingBroker();
  const changes: AccountHead[] = [];
  const relay = relayOf(server, broker, (heads) => void changes.push(...heads));
  await relay.start();
  await caughtUp(relay);
  // The demo companies' three opening balances are in progress.
  await expect.poll(() => broker.publications).toBe(3);
  return { server, broker, relay, changes, credit: creditingFor(server, relay) };
}

test('a relay reports the changes of each account once, of the backlog and of its own commits', async () => {
  const { server, broker, relay, changes, credit } = await startRelay();
  const openings = changes.splice(0);
  expect(openings.map(({ sequence }) => sequence)).toEqual([1n, 1n, 1n]);
  expect(openings.map(({ iban }) => iban)).toContain(ACME);

  await credit();
  expect(changes).toEqual([{ iban: ACME, sequence: 2n }]);

  broker.open();
  await untilPublished(server);
  await relay.stop();
  expect(changes).toEqual([{ iban: ACME, sequence: 2n }]);
});

test('a message of a type that a later release has written fails with the name of the type', async () => {
  const { server, broker, relay, credit } = await startRelay();
  const em = () => server.database.orm.em.fork();
  broker.open();
  await untilPublished(server);
  broker.isReady = false;
  await credit();
  await em().execute("update outbox_message set type = 'order.submitted' where sequence = 2");

  broker.isReady = true;
  await expect
    .poll(() => em().execute('select last_error from outbox_message where sequence = 2'))
    .toEqual([{ last_error: 'The type order.submitted is unknown to this release' }]);

  await em().execute("update outbox_message set type = 'account.credited' where sequence = 2");
  await untilPublished(server);
  await relay.stop();
});

test('a process publishes its own commits until a lease that it does not renew ends', async () => {
  const { server, broker, relay, credit } = await startRelay();
  const outbox = new Outbox(server.database.orm);

  const { entry } = await credit();

  expect(await outbox.claim(inSeconds(5), 100, await leaseFor(server, 6))).toEqual([]);
  const dueAt = async () => {
    const message = { subjectId: entry.accountId, sequence: entry.sequence };
    return (await server.database.orm.em.fork().findOneOrFail(OutboxMessage, message)).dueAt;
  };
  const leased = await dueAt();
  await expect.poll(async () => Number(await dueAt()) > Number(leased)).toBe(true);
  const claimed = await outbox.claim(inSeconds(70), 100, await leaseFor(server, 71));
  const sequences = claimed.map(({ sequence }) => sequence);
  expect(sequences).toContain(entry.sequence);
  broker.open();
  await untilPublished(server);
  await relay.stop();
});

test('a backlog in the outbox is published before later commits', async () => {
  const { server, broker, relay, credit } = await startRelay();
  broker.open();
  broker.isReady = false;
  await credit();
  broker.isReady = true;

  for (let number = 0; number < 5; number += 1) await credit();
  await untilPublished(server);

  expect(broker.sequencesOf(ACME)).toEqual(['1', '2', '3', '4', '5', '6', '7']);
  await relay.stop();
});

test('a message of a commit with an unknown outcome is published before later commits', async () => {
  const { server, broker, relay } = await startRelay();
  broker.open();
  let reservations = 0;
  const losingTheFirst: Publisher = {
    reserve: (messageCount) => {
      reservations += 1;
      if (reservations === 1) void loseNextCommit(server.database);
      return relay.reserve(messageCount);
    },
  };
  const credit = creditingFor(server, losingTheFirst);

  await expect(credit()).rejects.toThrow('OUTCOME_UNKNOWN');
  for (let number = 0; number < 3; number += 1) await credit();
  await untilPublished(server);

  expect(broker.sequencesOf(ACME)).toEqual(['1', '2', '3', '4', '5']);
  await relay.stop();
});

test('messages of a claim whose commit failed are published at once and in order', async () => {
  const { server, broker, relay, credit } = await startRelay();
  broker.open();
  broker.isReady = false;
  for (let number = 0; number < 3; number += 1) await credit();
  const lost = loseNextCommit(server.database);
  broker.isReady = true;
  await lost;

  await credit();
  // The time is much shorter than the lease of the claim.
  await untilPublished(server);

  expect(broker.sequencesOf(ACME)).toEqual(['1', '2', '3', '4', '5']);
  await relay.stop();
});

test('a message that was released and claimed again is not released twice if the answer was lost', async () => {
  const { server, broker, relay } = await startRelay();
  const released = Promise.withResolvers<void>();
  const repeated = Promise.withResolvers<number>();
  const losing: Publisher = {
    reserve: (messageCount) => {
      void loseNextCommit(server.database);
      loseNextRelease(server.database, released.resolve, repeated.resolve);
      return relay.reserve(messageCount);
    },
  };
  const refused = expect(creditingFor(server, losing)()).rejects.toThrow('OUTCOME_UNKNOWN');
  await released.promise;

  // The next claim takes the message, before the release is repeated.
  relay.wake();
  await refused;

  expect(await repeated.promise).toBe(0);
  broker.open();
  await untilPublished(server);
  expect(broker.sequencesOf(ACME)).toEqual(['1', '2']);
  await relay.stop();
});

test('messages that were published and not marked are marked later, and not published again', async () => {
  const { server, broker, relay, credit } = await startRelay();
  broker.open();
  await untilPublished(server);
  const { publications } = broker;
  const failed = failNextMark(server.database);

  await credit();
  await failed;
  await untilPublished(server);

  expect(broker.publications).toBe(publications + 1);
  await relay.stop();
});

/** Fails the next statement that marks messages as published. The promise resolves after the failure. */
function failNextMark({ orm }: TestServer['database']): Promise<void> {
  const connection = orm.em.getConnection();
  const execute = connection.execute.bind(connection);
  return new Promise((failed) => {
    const failing = async (...args: Parameters<typeof execute>) => {
      const [sql] = args;
      if (!/^update .outbox_message. set .published_at. =/.test(String(sql))) {
        return execute<QueryResult>(...args);
      }
      Object.assign(connection, { execute });
      failed();
      throw new Error('Deadlock found when trying to get lock');
    };
    Object.assign(connection, { execute: failing });
  });
}

/**
 * Runs the next statement that releases messages, and loses its answer.
 * @param onRepeated is called with the number of messages that the repeated statement released
 */
function loseNextRelease(
  { orm }: TestServer['database'],
  onReleased: () => void,
  onRepeated: (messageCount: number) => void,
): void {
  const connection = orm.em.getConnection();
  const execute = connection.execute.bind(connection);
  let releaseCount = 0;
  const losing = async (...args: Parameters<typeof execute>) => {
    const result = await execute<QueryResult>(...args);
    const [sql, parameters] = args;
    const isLease = /^update .outbox_message. set .due_at. = \?, .leased_by. = \?/.test(
      String(sql),
    );
    const isRelease = isLease && Array.isArray(parameters) && parameters[1] === null;
    if (!isRelease) return result;
    releaseCount += 1;
    if (releaseCount === 1) {
      onReleased();
      throw new Error('The connection is lost');
    }
    Object.assign(connection, { execute });
    onRepeated(result.affectedRows);
    return result;
  };
  Object.assign(connection, { execute: losing });
}

/** Commits the next transaction and loses the answer. The promise resolves after the commit. */
function loseNextCommit({ orm }: TestServer['database']): Promise<void> {
  const connection = orm.em.getConnection();
  const commit = connection.commit.bind(connection);
  return new Promise((lost) => {
    connection.commit = async (...args) => {
      connection.commit = commit;
      await commit(...args);
      lost();
      throw new Error('The connection is lost');
    };
  });
}

test('commits during a publication of their account are published together', async () => {
  const { server, broker, relay, credit } = await startRelay();

  for (let number = 0; number < 10; number += 1) await credit();
  broker.open();
  await untilPublished(server);

  expect(broker.publications).toBe(4);
  expect(broker.sequencesOf(ACME)).toHaveLength(11);
  await relay.stop();
});

test('a failed commit releases its reservation at the relay', async () => {
  const { server, broker, relay, credit } = await startRelay();
  const em = () => server.database.orm.em.fork();
  const isHandedOver = (count: number) => {
    const reservation = relay.reserve(count);
    reservation.cancel();
    return reservation.lease !== undefined;
  };
  // There is room for 1,024 messages, and three are in progress.
  expect(isHandedOver(1_022)).toBe(false);
  await expect.poll(() => isHandedOver(1_021)).toBe(true);
  // The number of the next entry is taken, so the commit fails.
  await em().execute(`update account set sequence = 0 where iban = '${ACME}'`);

  await caughtUp(relay);
  await expect(credit()).rejects.toThrow();

  await em().execute(`update account set sequence = 1 where iban = '${ACME}'`);
  await expect.poll(() => isHandedOver(1_021)).toBe(true);
  broker.open();
  await relay.stop();
});

/** Returns a broker that publishes nothing, and is not ready after a request for all three demo accounts. */
function brokerThat(reason: string, { isReady = true, isReadyWhenPublishing = false }): Broker {
  let asked = 0;
  return {
    get isReady() {
      return isReady && asked < 3;
    },
    publish: async () => {
      if (!isReadyWhenPublishing) isReady = false;
      // The broker stays ready until the relay has handled its refusal.
      setTimeout(() => {
        asked += 1;
      }, 500);
      throw new Error(`The broker ${reason}`);
    },
    onEvent: () => {},
    onReady: () => {},
    close: async () => {},
  };
}

test('the age of the oldest waiting message is reported, whatever its lease and retries', async () => {
  const server = await startWithoutBroker();
  const outbox = new Outbox(server.database.orm);
  await server.client.perform(aBulk([aTransfer()]));
  const { oldestDueSince } = await outbox.counts();

  const [oldest] = await outbox.claim(new Date(), 1, await leaseFor(server, 60));

  expect(oldest?.sequence).toBe(1n);
  expect((await outbox.counts()).oldestDueSince).toEqual(oldestDueSince);
});

test('the messages of a relay that ended are published at once, and those of a running relay are left to it', async () => {
  const server = await startServer();
  await untilPublished(server);
  const { database, client } = server;
  const { bulkTransfer: ofEnded } = await client.perform(aBulk([aTransfer()]));
  const { bulkTransfer: ofRunning } = await client.perform(aBulk([aTransfer()]));
  await untilPublished(server);
  await database.presence.announce(IDLE_RELAY);
  const em = () => database.orm.em.fork();
  const sequenceOf = async (id: string) =>
    (await em().findOneOrFail(BulkTransfer, { id })).sequence;
  const lease = async (id: string, holder: string) =>
    em().nativeUpdate(
      OutboxMessage,
      { type: 'bulk-transfer.performed', sequence: await sequenceOf(id) },
      { publishedAt: null, dueAt: inSeconds(60), leasedBy: holder },
    );

  await lease(ofRunning.id, IDLE_RELAY);
  await lease(ofEnded.id, '01900000-0000-7000-8000-0000000000ee');

  // The time is much shorter than a lease.
  await expect.poll(async () => (await new Outbox(database.orm).counts()).due).toBe(1);
  const [left] = await em().find(OutboxMessage, { dueAt: { $ne: null } });
  expect(left).toMatchObject({
    sequence: await sequenceOf(ofRunning.id),
    leasedBy: IDLE_RELAY,
  });
  await em().nativeUpdate(
    OutboxMessage,
    { id: left?.id ?? '' },
    { leasedBy: null, dueAt: DUE_AT_ONCE },
  );
  await untilPublished(server);
});
