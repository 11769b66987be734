import {
  type ExecutionResult,
  GraphQLError,
  GraphQLInt,
  GraphQLObjectType,
  GraphQLSchema,
  GraphQLString,
  parse,
} from 'graphql';
import { expect, test } from 'vitest';
import type { Caller } from '../../domain/caller.js';
import { SharedResults, type SubscriptionArgs } from './shared-results.js';

interface Event {
  readonly number: number;
}

const VIEWER: Caller = {
  kind: 'token',
  name: 'viewer',
  organizationIds: ['acme'],
  roles: ['viewer'],
};

const DOCUMENT = `subscription ($after: Int, $prefix: String) {
  counted(after: $after) { text(prefix: $prefix) }
}`;

/** A feed that yields the same event objects to each subscriber, and counts the executions. */
function startFeed(count: number, keptCharactersMax?: number) {
  const events: readonly Event[] = Array.from({ length: count }, (_, number) => ({ number }));
  const executions: string[] = [];
  const gate = Promise.withResolvers<void>();
  const counted = new GraphQLObjectType<Event, SubscriptionArgs['contextValue']>({
    name: 'Counted',
    fields: {
      text: {
        type: GraphQLString,
        args: { prefix: { type: GraphQLString } },
        resolve: async ({ number }, { prefix = '' }, { source: { caller } }) => {
          executions.push(caller.name);
          if (caller.name === 'slow') await gate.promise;
          if (caller.name === 'disconnected') throw new GraphQLError('Disconnected');
          return `${prefix}${number}`;
        },
      },
    },
  });
  const schema = new GraphQLSchema({
    query: new GraphQLObjectType({ name: 'Query', fields: { unused: { type: GraphQLInt } } }),
    subscription: new GraphQLObjectType<Event, SubscriptionArgs['contextValue']>({
      name: 'Subscription',
      fields: {
        counted: {
          type: counted,
          args: { after: { type: GraphQLInt } },
          async *subscribe() {
            yield* events;
          },
          resolve: (event, _args, context) => {
            context.eventOrigin = { cursor: `cursor ${event.number}` };
            return event;
          },
        },
      },
    }),
  });
  const results = new SharedResults(keptCharactersMax);
  const subscribe = async (caller: Caller, asked: Partial<SubscriptionArgs> = {}) => {
    const source = { caller, requestId: '', remoteAddress: '' };
    const contextValue: SubscriptionArgs['contextValue'] = { source, eventOrigin: {} };
    const answers = await results.subscribe({
      schema,
      document: parse(DOCUMENT),
      contextValue,
      ...asked,
    });
    if (!(Symbol.asyncIterator in answers)) throw new Error('Not subscribed');
    const received: { readonly result: ExecutionResult; readonly cursor: string | undefined }[] =
      [];
    for await (const result of answers) {
      received.push({ result, cursor: contextValue.eventOrigin.cursor });
    }
    return received;
  };
  return { subscribe, executions, release: gate.resolve };
}

const received = (...texts: readonly string[]) =>
  texts.map((text, index) => ({
    result: { data: { counted: { text } } },
    cursor: `cursor ${index}`,
  }));

test('subscribers of one caller that ask the same of an event share one execution and its cursor', async () => {
  const { subscribe, executions } = startFeed(3);

  const all = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      subscribe(VIEWER, { variableValues: { after: index } }),
    ),
  );

  expect(all).toEqual(Array(20).fill(received('0', '1', '2')));
  expect(executions).toHaveLength(3);
});

test('other callers that ask the same share a finished execution', async () => {
  const { subscribe, executions } = startFeed(3);

  const one = await subscribe(VIEWER);
  const other = await subscribe({ ...VIEWER, name: 'other' });

  expect([one, other]).toEqual([received('0', '1', '2'), received('0', '1', '2')]);
  expect(executions).toHaveLength(3);
});

test('another caller does not wait for an execution in progress', async () => {
  const { subscribe, release } = startFeed(1);
  const slow = subscribe({ ...VIEWER, name: 'slow' });

  expect(await subscribe(VIEWER)).toEqual(received('0'));

  release();
  expect(await slow).toEqual(received('0'));
});

test.each<[string, Caller, Partial<SubscriptionArgs>, string]>([
  ['organizations', { ...VIEWER, organizationIds: ['globex'] }, {}, '0'],
  ['more organizations', { ...VIEWER, organizationIds: ['acme', 'globex'] }, {}, '0'],
  ['roles', { ...VIEWER, roles: ['viewer', 'initiator'] }, {}, '0'],
  ['all organizations', { ...VIEWER, roles: ['operator'] }, {}, '0'],
  ['variables below the root field', VIEWER, { variableValues: { prefix: 'x' } }, 'x0'],
  ['another document', VIEWER, { document: parse(`${DOCUMENT} #`) }, '0'],
])('a subscriber with other %s executes by itself', async (_, caller, asked, text) => {
  const { subscribe, executions } = startFeed(1);

  const [one, other] = [await subscribe(VIEWER), await subscribe(caller, asked)];

  expect(one).toEqual(received('0'));
  expect(other).toEqual(received(text));
  expect(executions).toHaveLength(2);
});

test('the order of roles and organizations does not matter', async () => {
  const { subscribe, executions } = startFeed(1);

  await subscribe({ ...VIEWER, roles: ['viewer', 'initiator'], organizationIds: ['a', 'b'] });
  await subscribe({ ...VIEWER, roles: ['initiator', 'viewer'], organizationIds: ['b', 'a'] });

  expect(executions).toHaveLength(1);
});

test('a result with errors stays with the subscriber that caused it', async () => {
  const { subscribe, executions } = startFeed(1);
  const failed = await subscribe({ ...VIEWER, name: 'disconnected' });

  const others = [await subscribe(VIEWER), await subscribe(VIEWER)];

  expect(failed[0]?.result.errors).toHaveLength(1);
  expect(others).toEqual([received('0'), received('0')]);
  expect(executions).toEqual(['disconnected', 'viewer']);
});

test('the kept results have a limit in bytes', async () => {
  const { subscribe, executions } = startFeed(1, 200);
  const prefixes = ['a'.repeat(100), 'b'.repeat(100)];

  for (const prefix of prefixes) await subscribe(VIEWER, { variableValues: { prefix } });
  for (const prefix of prefixes.toReversed()) {
    await subscribe(VIEWER, { variableValues: { prefix } });
  }

  // The second result displaced the first one, and is still there.
  expect(executions).toHaveLength(3);
});

test('a result over the limit is not kept', async () => {
  const { subscribe, executions } = startFeed(1, 100);
  const asked = { variableValues: { prefix: 'a'.repeat(100) } };

  await subscribe(VIEWER, asked);
  await subscribe(VIEWER, asked);

  expect(executions).toHaveLength(2);
});
