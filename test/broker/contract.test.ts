import { expect, onTestFinished, test } from 'vitest';
import type { AccountHead } from '../../src/application/ports/account-head.js';
import type { EventKind } from '../../src/domain/kinds.js';
import type { Broker, Publication } from '../../src/infrastructure/broker/broker.js';
import { InProcessBroker } from '../../src/infrastructure/broker/in-process-broker.js';
import { RabbitMqBroker } from '../../src/infrastructure/broker/rabbitmq-broker.js';
import { makeLogger } from '../../src/infrastructure/observability/logger.js';
import type { EventMessage } from '../../src/infrastructure/outbox/events.js';
import { AMQP_URL } from '../support/amqp-url.js';

const BROKERS: Readonly<Record<string, () => Promise<Broker>>> = {
  'in-process': async () => new InProcessBroker(),
  RabbitMQ: () => RabbitMqBroker.start(AMQP_URL, makeLogger('silent')),
};

function aMessage(kind: EventKind, accountIban: string): EventMessage {
  const id = `${kind} ${accountIban}`;
  return {
    kind,
    accountIban,
    event: {
      specversion: '1.0',
      id,
      source: '/test',
      type: kind,
      subject: accountIban,
      time: new Date().toISOString(),
      datacontenttype: 'application/json',
      data: { sequence: '7' },
    },
  };
}

/** As the relay gives them, in both of their forms. */
const publicationOf = (...messages: readonly EventMessage[]): Publication => ({
  async *events() {
    yield* messages;
  },
  heads: async () =>
    messages
      .filter(({ kind }) => kind !== 'transfer.performed')
      .map(({ accountIban }) => ({ iban: accountIban, sequence: 7n })),
});

async function start(name: string): Promise<Broker> {
  const broker = await BROKERS[name]?.();
  if (!broker) throw new Error(`There is no broker ${name}`);
  onTestFinished(() => broker.close());
  await new Promise<void>((resolve) => broker.onReady(resolve));
  return broker;
}

test.each(Object.keys(BROKERS))('%s tells of bulks and credits, not of transfers', async (name) => {
  const broker = await start(name);
  const heard: AccountHead[] = [];
  broker.onEvent((head) => heard.push(head));

  expect(broker.isReady).toBe(true);
  await broker.publish(
    publicationOf(
      aMessage('bulk-transfer.performed', 'A'),
      aMessage('transfer.performed', 'B'),
      aMessage('account.credited', 'C'),
    ),
  );

  await expect
    .poll(() => heard)
    .toEqual([
      { iban: 'A', sequence: 7n },
      { iban: 'C', sequence: 7n },
    ]);
});

test.each(Object.keys(BROKERS))('%s fails as a whole where its messages do', async (name) => {
  const broker = await start(name);
  const broken: Publication = {
    async *events() {
      yield aMessage('bulk-transfer.performed', 'A');
      throw new Error('The ledger does not answer');
    },
    heads: () => Promise.reject(new Error('The ledger does not answer')),
  };

  await expect(broker.publish(broken)).rejects.toThrow('The ledger does not answer');
  await broker.publish(publicationOf(aMessage('account.credited', 'B')));
});
