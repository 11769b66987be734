/** Dead letters without a broker: what operators may ask, and what the table keeps. */
import { expect, test } from 'vitest';
import { PROGRAM } from '../../src/domain/caller.js';
import { makeNewId } from '../../src/domain/id.js';
import type { DeadLetterFacts } from '../../src/entities/dead-letter.entity.js';
import { MikroOrmDeadLetters } from '../../src/infrastructure/dead-letters/dead-letters.js';
import { startServer, type TestServer } from '../support/server.js';

const AT = new Date('2026-11-27T09:30:00.125Z');

const aLetter = (messageId: string, overrides: Partial<DeadLetterFacts> = {}): DeadLetterFacts => ({
  consumer: 'billing',
  messageId,
  type: 'virement.account.credited.v1',
  reason: 'PERMANENT',
  attempts: 1,
  lastError: null,
  firstFailedAt: AT,
  lastFailedAt: AT,
  receivedAt: AT,
  payload: Buffer.from('{}'),
  ...overrides,
});

const storeOf = ({ database }: TestServer) =>
  new MikroOrmDeadLetters(
    database.orm,
    () => new Date(),
    makeNewId(() => new Date()),
  );

const UNKNOWN_ID = '01900000-0000-7000-8000-000000000000';

test('ids that are gone are skipped; malformed ones, too many, none, and a missing reason are refused', async () => {
  const { client } = await startServer();
  const codeOf = async (mutation: string) => {
    const { data, errors } = await client.send(`mutation { answer: ${mutation} { count } }`);
    return errors?.[0]?.extensions.code ?? data.answer.count;
  };
  const ids = (count: number) => JSON.stringify(Array(count).fill(UNKNOWN_ID));

  expect(await codeOf(`replayDeadLetters(ids: ${ids(1)})`)).toBe(0);
  expect(await codeOf(`replayDeadLetters(ids: ${ids(100)})`)).toBe(0);
  expect(await codeOf(`discardDeadLetters(ids: ${ids(100)}, reason: "Old")`)).toBe(0);
  for (const refused of [
    `replayDeadLetters(ids: ${ids(101)})`,
    'replayDeadLetters(ids: [])',
    'replayDeadLetters(ids: ["x"])',
    `discardDeadLetters(ids: ${ids(101)}, reason: "Old")`,
    `discardDeadLetters(ids: ${ids(1)}, reason: " ")`,
    `discardDeadLetters(ids: ${ids(1)}, reason: "${'x'.repeat(141)}")`,
  ]) {
    expect([refused, await codeOf(refused)]).toEqual([refused, 'BAD_USER_INPUT']);
  }
});

test('a server without a broker lists and discards dead letters, and sends none', async () => {
  const server = await startServer();
  await storeOf(server).add(aLetter('e1'));
  const list = '{ deadLetters { nodes { id messageId } } }';
  const { deadLetters } = await server.client.data(list);
  const [{ id }] = deadLetters.nodes;

  const refused = await server.client.send(
    `mutation { replayDeadLetters(ids: ["${id}"]) { count } }`,
  );

  expect(refused).toMatchObject({
    status: 503,
    errors: [{ message: expect.stringContaining('RabbitMQ'), extensions: { code: 'UNAVAILABLE' } }],
  });
  expect(await server.client.data(list)).toEqual({ deadLetters });
  await server.client.data(
    `mutation { discardDeadLetters(ids: ["${id}"], reason: "Old") { count } }`,
  );
  expect(await server.client.data(list)).toEqual({ deadLetters: { nodes: [] } });
});

test('a dead letter that arrived again while it was sent is not deleted', async () => {
  const server = await startServer();
  const store = storeOf(server);
  await store.add(aLetter('e1'));
  const { nodes } = await store.list(undefined, { size: 1, fromEnd: false });
  const [read] = nodes;
  if (!read) throw new Error('There is no dead letter');

  await store.add(aLetter('e1'));
  await store.deleteSent(read, PROGRAM);

  expect(await store.byId(read.id)).toMatchObject({ arrivals: 2 });
});

test('names that differ in case or in trailing spaces are different consumers and messages', async () => {
  const server = await startServer();
  const store = storeOf(server);
  for (const consumer of ['billing', 'Billing', 'billing ']) {
    for (const messageId of ['e', 'E', 'e ']) await store.add(aLetter(messageId, { consumer }));
  }

  const page = await store.list(undefined, { size: 20, fromEnd: false });
  expect(page.nodes).toHaveLength(9);
  const ofOne = await store.list('billing', { size: 20, fromEnd: false });
  expect(ofOne.nodes.map(({ messageId }) => messageId)).toEqual(['e ', 'E', 'e']);
  expect(await store.counts()).toHaveLength(3);
});

test('a page of dead letters goes on after rows that were discarded', async () => {
  const server = await startServer();
  const store = storeOf(server);
  for (let number = 0; number < 6; number += 1) await store.add(aLetter(`e${number}`));
  const page = async (after: string | null) =>
    (
      await server.client.data(
        `query ($after: Cursor) { deadLetters(first: 2, after: $after) {
          nodes { id messageId } pageInfo { endCursor } } }`,
        { after },
      )
    ).deadLetters;
  const first = await page(null);
  const ids = first.nodes.map(({ id }: { id: string }) => id);
  await store.discard(ids, 'Old', PROGRAM);

  const second = await page(first.pageInfo.endCursor);

  expect(second.nodes.map(({ messageId }: { messageId: string }) => messageId)).toEqual([
    'e3',
    'e2',
  ]);
});
