/** Deliveries of webhooks while the database is away, or loses the answer to a commit. */
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { checkInvariants } from '../../src/infrastructure/verify/invariants.js';
import { aBulk, transfersOf } from '../support/builders.js';
import { COMMIT, startDatabaseProxy } from '../support/proxy.js';
import { Receiver } from '../support/receiver.js';
import { startServerOn } from '../support/server.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';
import { registerWebhook, untilDeliveriesAre, untilDue } from '../support/webhooks.js';

/** Starts a server behind a proxy, and opens its database directly. */
async function startBehindProxy() {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const { proxy, databaseUrl } = await startDatabaseProxy(database.url);
  const server = await startServerOn({ url: databaseUrl, drop: async () => {} });
  onTestFinished(() => server.close());
  const settings = { databaseUrl: database.url, databasePoolMax: 3, lockTimeoutMs: 5_000 };
  const direct = await openDatabase(settings);
  onTestFinished(() => direct.close());
  return { ...server, proxy, direct };
}

const violationsIn = async (direct: Awaited<ReturnType<typeof openDatabase>>) =>
  (await checkInvariants(direct, new Date(0))).filter(({ violations }) => violations.length > 0);

test.runIf(DIALECT === 'mysql')(
  'outcomes of calls that end while the database is away are recorded when it is back',
  async () => {
    const { client, proxy, direct } = await startBehindProxy();
    const receiver = await Receiver.start();
    const { id } = await registerWebhook(client, receiver);
    // A receiver that has answered gets several calls at once.
    await client.perform(aBulk(transfersOf(1, '0.01')));
    await untilDeliveriesAre(client, id, ['DELIVERED']);
    const answers: (() => void)[] = [];
    receiver.answer = (_call, response) => answers.push(() => response.writeHead(200).end());
    await client.perform(aBulk(transfersOf(5, '0.01')));
    await expect.poll(() => receiver.calls.length).toBe(6);

    await proxy.goDown();
    for (const answer of answers) answer();
    await proxy.goUp();

    const deliveries = await untilDeliveriesAre(client, id, Array(6).fill('DELIVERED'));
    expect(deliveries.map(({ attempts }: { attempts: object[] }) => attempts.length)).toEqual(
      Array(6).fill(1),
    );
    expect(receiver.calls).toHaveLength(6);
    expect(await violationsIn(direct)).toEqual([]);
  },
);

test.runIf(DIALECT === 'mysql').each([
  // The words stand in the statements of one of the two transactions alone.
  ['the claim', 'attempts + 1'],
  ['the record', 'webhook_attempt'],
])(
  'a commit of %s whose answer is lost costs a repetition at most, and no record',
  async (_, words) => {
    const { client, proxy, direct } = await startBehindProxy();
    const receiver = await Receiver.start();
    const { id } = await registerWebhook(client, receiver);
    const lost = proxy.cutAt(COMMIT, 'answered', words);

    await client.perform(aBulk(transfersOf(3, '0.01')));
    await lost;
    await expect
      .poll(async () => {
        // The lease of a claim whose answer was lost ends by itself.
        await untilDue({ database: direct });
        const [row] = await direct.orm.em
          .fork()
          .execute<{ count: number | string }[]>(
            "select count(*) as count from webhook_delivery where status = 'DELIVERED'",
          );
        return Number(row?.count);
      })
      .toBe(3);

    await untilDeliveriesAre(client, id, Array(3).fill('DELIVERED'));
    expect(new Set(receiver.ids).size).toBe(3);
    expect(await violationsIn(direct)).toEqual([]);
  },
);
