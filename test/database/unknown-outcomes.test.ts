/** Tests that every example of docs/clients.md pays once although the database's answer to the commit is lost. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ACME, aBulk, aTransfer } from '../support/builders.js';
import { COMMIT, startDatabaseProxy } from '../support/proxy.js';
import { startServerOn } from '../support/server.js';
import { writeSnippets } from '../support/snippets.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

const DOCUMENT = 'docs/clients.md';

/**
 * Starts a server that loses the answer to the commit of the next bulk.
 * @param balanceMinor the balance after the bulk. Only statements of the bulk contain it; the probe of privileges
 * contains an insert, too
 */
async function startLosingCommit(balanceMinor: string) {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const { proxy, databaseUrl } = await startDatabaseProxy(database.url);
  const server = await startServerOn({ url: databaseUrl, drop: async () => {} });
  onTestFinished(() => server.close());
  const lost = proxy.cutAt(COMMIT, 'answered', balanceMinor);
  return { server, lost };
}

/** Returns a program that uses an example to pay the same payment twice, and prints each answer. */
function payTwice(name: string): string {
  const payment = JSON.stringify(aBulk([aTransfer({ amount: '1.00' })]));
  return `
    import { pay } from './${name}';
    const payOnce = () => pay(${payment}, 'payment-1');
    const first = await payOnce();
    console.log(JSON.stringify([first, await payOnce()]));`;
}

describe.runIf(DIALECT === 'mysql')('a payment whose commit is not confirmed', () => {
  test.each(['urql.ts', 'fetch.ts'])('is replayed by %s, which debits once', async (name) => {
    const { server, lost } = await startLosingCommit('9999900');
    const { pathOf } = await writeSnippets(DOCUMENT, server.url);
    await writeFile(pathOf('run.mjs'), payTwice(name));

    const { stdout } = await promisify(execFile)(process.execPath, [pathOf('run.mjs')]);
    await lost;

    expect(JSON.parse(stdout)).toMatchObject([{ replayed: true }, { replayed: true }]);
    expect(await server.client.balance(ACME)).toBe('99999.00');
  });

  test('has one bulk id in every answer of client.ts, which debits once', async () => {
    const { server, lost } = await startLosingCommit('9999900');
    const { pathOf } = await writeSnippets(DOCUMENT, server.url);
    await writeFile(pathOf('run.mjs'), payTwice('client.ts'));

    const { stdout } = await promisify(execFile)(process.execPath, [pathOf('run.mjs')]);
    await lost;

    const [first, second] = JSON.parse(stdout);
    expect(second).toBe(first);
    expect(await server.client.balance(ACME)).toBe('99999.00');
  });

  test('is replayed by pay.sh, which debits once', async () => {
    const { server, lost } = await startLosingCommit('9998550');
    const { pathOf } = await writeSnippets(DOCUMENT, server.url);

    const { stdout } = await promisify(execFile)('bash', [pathOf('pay.sh')]);
    await lost;

    expect(stdout).toContain('"replayed":true');
    expect(await server.client.balance(ACME)).toBe('99985.50');
  });
});
