/** A server that is stopped while clients send bulks, as at a deployment. */
import { expect, onTestFinished, test } from 'vitest';
import { aBulk, transfersOf } from '../support/builders.js';
import { runScript, startProcess } from '../support/process.js';
import { Receiver } from '../support/receiver.js';
import { createMigratedDatabase } from '../support/test-database.js';
import { registerWebhook } from '../support/webhooks.js';

const CLIENTS = 8;

/** Returns the code of the error that kept a request from the server. */
function codeOf(error: unknown): string {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && 'code' in cause ? String(cause.code) : String(error);
}

test('a stop under load answers what was sent, resets nothing, and loses nothing', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const server = await startProcess({ DATABASE_URL: database.url, STOP_LINGER_MS: '500' });
  const answered: string[] = [];
  const failures: string[] = [];
  const sendUntilRefused = async (client: number) => {
    for (let n = 0; ; n += 1) {
      const idempotencyKey = `${client}-${n}`;
      try {
        const { __typename } = await server.client.perform({
          ...aBulk(transfersOf(20, '0.01')),
          idempotencyKey,
        });
        if (__typename !== 'BulkTransferPerformed') failures.push(__typename);
        answered.push(idempotencyKey);
      } catch (error) {
        failures.push(codeOf(error));
        return;
      }
    }
  };
  const clients = Array.from({ length: CLIENTS }, (_, client) => sendUntilRefused(client));
  await expect.poll(() => answered.length).toBeGreaterThan(2 * CLIENTS);

  const code = await server.stop();
  await Promise.all(clients);

  expect(code).toBe(0);
  // The only error is that nobody listens any more.
  expect(failures).toEqual(Array(CLIENTS).fill('ECONNREFUSED'));
  const verified = await runScript('dist/commands/verify.js', { DATABASE_URL: database.url });
  expect(verified).toMatchObject({ code: 0, output: expect.stringContaining('0 violated') });
  const next = await startProcess({ DATABASE_URL: database.url });
  for (const idempotencyKey of answered.slice(-40)) {
    const { replayed } = await next.client.perform({
      ...aBulk(transfersOf(20, '0.01')),
      idempotencyKey,
    });
    expect(replayed, idempotencyKey).toBe(true);
  }
}, 60_000);

test('a server ends after SHUTDOWN_TIMEOUT_MS, whatever it waits for', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const server = await startProcess({ DATABASE_URL: database.url, SHUTDOWN_TIMEOUT_MS: '1000' });
  const receiver = await Receiver.start();
  receiver.answer = () => {};
  await registerWebhook(server.client, receiver);
  await server.client.perform(aBulk(transfersOf(1, '0.01')));
  await expect.poll(() => receiver.calls.length).toBe(1);

  expect(await server.stop()).toBe(1);

  expect(server.output()).toContain('Not stopped within SHUTDOWN_TIMEOUT_MS (1000 ms)');
});
