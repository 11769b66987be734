import { createVirementClient, VirementError } from '@virement/client';
import { describe, expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import { ACME, aBulk, aTransfer, GLOBEX, ibanOf, transfersOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { portOf, startProxy } from '../support/proxy.js';
import { startRestartable } from '../support/restartable.js';
import { startServer } from '../support/server.js';

const TRANSPORTS = ['websocket', 'sse'] as const;

type Options = Parameters<typeof createVirementClient>[0];

function clientOf(url: string, options: Partial<Options> = {}) {
  return createVirementClient({ url: `${url}/graphql`, webSocket: WebSocket, ...options });
}

/** Counts answers. A follower without a cursor starts at the end of the list that it has read. */
function countingFetch() {
  let answers = 0;
  const counting: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    answers += 1;
    return response;
  };
  return {
    fetch: counting,
    untilAnswered: (count: number) =>
      expect.poll(() => answers, POLL).toBeGreaterThanOrEqual(count),
  };
}

/** Counts the messages with a certain text that arrive over a WebSocket or as a stream. */
function countArrivals(text: string) {
  let arrivals = 0;
  const look = (bytes: unknown) => {
    if (String(bytes).includes(text)) arrivals += 1;
  };
  class CountingWebSocket extends WebSocket {
    constructor(...given: ConstructorParameters<typeof WebSocket>) {
      super(...given);
      this.on('message', look);
    }
  }
  const counting: typeof fetch = async (...request) => {
    const response = await fetch(...request);
    const looking = new TransformStream<Uint8Array, Uint8Array>({
      transform: (bytes, controller) => {
        look(Buffer.from(bytes));
        controller.enqueue(bytes);
      },
    });
    return new Response(response.body?.pipeThrough(looking) ?? null, response);
  };
  return { webSocket: CountingWebSocket, fetch: counting, count: () => arrivals };
}

/** Collects items as they arrive, until the test ends. */
function collect<Item>(items: AsyncIterableIterator<Item>) {
  const taken: Item[] = [];
  const errors: unknown[] = [];
  const finished = (async () => {
    try {
      for await (const item of items) taken.push(item);
    } catch (error) {
      errors.push(error);
    }
  })();
  onTestFinished(async () => {
    await items.return?.();
    await finished;
  });
  return { taken, errors, finished };
}

/** Performs a bulk of rows with different descriptions. @returns the descriptions */
async function performNumbered(client: Client, bulk: number, rows: number): Promise<string[]> {
  const creditTransfers = transfersOf(rows, '0.01').map((row, index) => ({
    ...row,
    counterpartyIban: index % 2 === 0 ? GLOBEX : ibanOf(index),
    description: `${bulk}/${index}`,
  }));
  expect(await client.perform(aBulk(creditTransfers))).toMatchObject({
    __typename: 'BulkTransferPerformed',
  });
  return creditTransfers.map(({ description }) => description);
}

describe.each(TRANSPORTS)('a client over %s', (transport) => {
  test('gets every transfer once and in order despite restarts and cut connections', async () => {
    const server = await startRestartable();
    const retries: string[] = [];
    const { fetch, untilAnswered } = countingFetch();
    const onRetry: Options['onRetry'] = ({ code }) => retries.push(code);
    const client = clientOf(server.url, { transport, onRetry, fetch });
    const { taken, errors } = collect(client.followTransfers(ACME));
    const received = collect(client.followReceivedTransfers(GLOBEX));
    const bulks = collect(client.followBulkTransfers(ACME));
    const expected: string[] = [];
    await untilAnswered(3);

    const more = async () => {
      expected.push(...(await performNumbered(server.current.client, expected.length, 30)));
    };
    const untilTaken = () => expect.poll(() => taken.length, POLL).toBe(expected.length);
    await more();
    await untilTaken();
    await server.restart('stop');
    await more();
    await more();
    await untilTaken();
    await server.restart('kill');
    await more();
    server.proxy.cut();
    await more();
    await untilTaken();
    await server.proxy.goDown();
    await more();
    await server.proxy.goUp();
    await more();
    await untilTaken();

    expect(taken.map(({ transfer }) => transfer.description)).toEqual(expected);
    const book = expected.filter((_, index) => index % 2 === 0);
    await expect.poll(() => received.taken.length, POLL).toBe(book.length);
    expect(received.taken.map(({ transfer }) => transfer.description)).toEqual(book);
    await expect.poll(() => bulks.taken.length, POLL).toBe(expected.length / 30);
    expect(new Set(bulks.taken.map(({ bulkTransfer }) => bulkTransfer.id)).size).toBe(
      bulks.taken.length,
    );
    expect([errors, received.errors, bulks.errors]).toEqual([[], [], []]);
    expect(retries).toContain('NETWORK_ERROR');
    await server.current.stop();
  });

  test('gets a balance at once, then each other balance, and never the same one twice', async () => {
    const server = await startServer();
    const proxy = await startProxy({ host: '127.0.0.1', port: portOf(server.url) });
    const arrivals = countArrivals('balanceUpdated');
    const options = { transport, webSocket: arrivals.webSocket, fetch: arrivals.fetch };
    const client = clientOf(`http://127.0.0.1:${proxy.port}`, options);
    const { taken } = collect(client.followBalance(ACME));
    const amounts = () => taken.map(({ balance }) => balance.amount);
    await expect.poll(amounts, POLL).toEqual(['100000.00']);

    proxy.cut();
    // The server sends the same balance again.
    await expect.poll(arrivals.count, POLL).toBe(2);
    await server.client.perform(aBulk([aTransfer({ amount: '1' })]));

    await expect.poll(amounts, POLL).toEqual(['100000.00', '99999.00']);
  });

  test('resumes from a stored cursor of another process', async () => {
    const { client: direct, url } = await startServer();
    await performNumbered(direct, 0, 5);
    const client = clientOf(url, { transport });
    const [newest] = await take(client.transfers(ACME), 1);
    const stored = newest?.cursor ?? '';
    await performNumbered(direct, 1, 3);

    const [first, second] = await take(client.followTransfers(ACME, { after: stored }), 2);
    const rest = await take(client.followTransfers(ACME, { after: second?.cursor ?? '' }), 1);

    const texts = [first, second, ...rest].map((event) => event?.transfer.description);
    expect(texts).toEqual(['1/0', '1/1', '1/2']);
  });

  test('gets every transfer once even if it reads slower than the ledger writes', async () => {
    const { client: direct, url } = await startServer();
    const expected = await performNumbered(direct, 0, 1);
    let closed = 0;
    class ObservedWebSocket extends WebSocket {
      constructor(...given: ConstructorParameters<typeof WebSocket>) {
        super(...given);
        this.once('close', () => {
          closed += 1;
        });
      }
    }
    const client = clientOf(url, { transport, webSocket: ObservedWebSocket });
    const [start] = await take(client.transfers(ACME), 1);
    for (const bulk of [1, 2]) expected.push(...(await performNumbered(direct, bulk, 1_500)));

    const seen: string[] = [];
    for await (const event of client.followTransfers(ACME, { after: start?.cursor ?? '' })) {
      seen.push(event.transfer.description);
      if (seen.length === expected.length - 1) break;
      // A WebSocket cannot be slowed down: the server closes it if too much is unread, and the client opens it again
      // later.
      if (seen.length === 1 && transport === 'websocket') {
        await expect.poll(() => closed, POLL).toBe(1);
      }
    }

    expect(seen).toEqual(expected.slice(1));
  });

  test('replaces a token that expires, and ends when a token is refused twice', async () => {
    const provider = await startIdentityProvider();
    const { client: anyone, url } = await startServer(provider.env);
    const operator = anyone.as(await provider.token({ roles: ['operator'] }));
    const { accounts } = await operator.data('{ accounts { nodes { iban organizationId } } }');
    const org = accounts.nodes.find(({ iban }: { iban: string }) => iban === ACME).organizationId;
    const payer = anyone.as(await provider.token({ org, roles: ['initiator'] }));
    let tokens = 0;
    let isWrong = false;
    const { fetch, untilAnswered } = countingFetch();
    const client = clientOf(url, {
      transport,
      fetch,
      // The server tolerates a clock difference of thirty seconds.
      token: () => {
        tokens += 1;
        return isWrong ? 'wrong' : provider.token({ org }, '-26s');
      },
    });
    const { taken, errors, finished } = collect(client.followTransfers(ACME));
    await untilAnswered(1);
    const expected = await performNumbered(payer, 0, 2);
    await expect.poll(() => taken.length, POLL).toBe(2);
    const before = tokens;

    await expect.poll(() => tokens, POLL).toBeGreaterThan(before);
    expected.push(...(await performNumbered(payer, 1, 2)));
    await expect.poll(() => taken.length, POLL).toBe(4);
    isWrong = true;
    await finished;

    expect(taken.map(({ transfer }) => transfer.description)).toEqual(expected);
    expect(errors).toEqual([expect.objectContaining({ code: 'UNAUTHENTICATED' })]);
    expect(errors[0]).toBeInstanceOf(VirementError);
  });

  test.each([
    ['ACCOUNT_NOT_FOUND', { iban: ibanOf(1) }],
    ['BAD_USER_INPUT', { after: 'not a cursor' }],
  ])('gets the error %s at once', async (code, { iban = ACME, after }: Place) => {
    const { url } = await startServer();
    const client = clientOf(url, { transport });

    const items = client.followTransfers(iban, after === undefined ? {} : { after });

    await expect(items.next()).rejects.toMatchObject({ name: 'VirementError', code });
    expect(await items.next()).toEqual({ done: true, value: undefined });
  });

  test('stops waiting upon return and upon its signal', async () => {
    const { url } = await startServer();
    const client = clientOf(url, { transport });
    const stop = new AbortController();

    const balance = client.followBalance(ACME, { signal: stop.signal });
    const transfers = client.followTransfers(ACME);
    await balance.next();
    const waiting = [balance.next(), transfers.next()];
    stop.abort();
    await transfers.return?.();

    expect(await Promise.all(waiting)).toEqual([
      { done: true, value: undefined },
      { done: true, value: undefined },
    ]);
  });
});

/** The position at which a subscription starts. */
interface Place {
  readonly iban?: string;
  readonly after?: string;
}

/** A server starts slowly on a loaded machine, and a client reconnects slowly. */
const POLL = { timeout: 60_000 };

async function take<Item>(items: AsyncIterable<Item>, count: number): Promise<Item[]> {
  const taken: Item[] = [];
  for await (const item of items) {
    taken.push(item);
    if (taken.length === count) break;
  }
  return taken;
}
