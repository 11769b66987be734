import { expect, onTestFinished, test } from 'vitest';
import type { AccountHead } from '../../src/application/ports/account-head.js';
import type { EventKind } from '../../src/domain/kinds.js';
import type { Broker } from '../../src/infrastructure/broker/broker.js';
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

async function* eventsOf(...messages: readonly EventMessage[]): AsyncIterable<EventMessage> {
  yield* messages;
}

async function start(name: string): Promise<Broker> {
  const broker = await BROKERS[name]?.();
  if (!broker) throw new Error(`There is no broker ${name}`);
  onTestFinished(() => broker.close());
  await new Promise<void>((resolve) => broker.onReady(resolve));
  return broker;
}

test('RabbitMQ reports bulks and credits, not transfers, to other instances, and nothing to the publisher', async () => {
  const [publisher, other] = [await start('RabbitMQ'), await start('RabbitMQ')];
  const heardByPublisher: AccountHead[] = [];
  const heardByOther: AccountHead[] = [];
  publisher.onEvent((head) => heardByPublisher.push(head));
  other.onEvent((head) => heardByOther.push(head));

  expect(publisher.isReady).toBe(true);
  await publisher.publish(
    eventsOf(
      aMessage('bulk-transfer.performed', 'A'),
      aMessage('transfer.performed', 'B'),
      aMessage('account.credited', 'C'),
    ),
  );
  await expect
    .poll(() => heardByOther)
    .toEqual([
      { iban: 'A', sequence: 7n },
      { iban: 'C', sequence: 7n },
    ]);

  await other.publish(eventsOf(aMessage('account.credited', 'D')));
  await expect.poll(() => heardByPublisher).toEqual([{ iban: 'D', sequence: 7n }]);
});

test('RabbitMQ fails a publication whose messages fail', async () => {
  const broker = await start('RabbitMQ');
  async function* broken(): AsyncIterable<EventMessage> {
    yield aMessage('bulk-transfer.performed', 'A');
    throw new Error('The ledger does not answer');
  }

  await expect(broker.publish(broken())).rejects.toThrow('The ledger does not answer');
  await broker.publish(eventsOf(aMessage('account.credited', 'B')));
});

test('the in-process broker has no consumers, so it makes no event', async () => {
  const broker = await start('in-process');
  let isBegun = false;
  async function* events(): AsyncIterable<EventMessage> {
    isBegun = true;
    yield aMessage('account.credited', 'A');
  }

  await broker.publish(events());

  expect(isBegun).toBe(false);
});
