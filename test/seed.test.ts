import { expect, onTestFinished, test } from 'vitest';
import { ACME } from './setup/builders.js';
import { runScript, startProcess } from './setup/process.js';
import { createMigratedDatabase } from './setup/test-database.js';

test('npm run seed makes the demo companies once, and as many accounts and transfers as asked for', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url };
  const seed = (...args: string[]) => runScript('dist/commands/seed.js', env, args);

  expect((await seed()).output).toContain('demo companies: 3 created');
  const again = await seed('--accounts', '2', '--transfers', '2500');
  expect(again).toEqual({ code: 0, output: expect.stringContaining('demo companies: 0 created') });
  expect(await seed('--accounts', 'many')).toMatchObject({
    code: 1,
    output: '--accounts is many; it must be a whole number up to 1000000\n',
  });

  const server = await startProcess(env);
  const { accounts } = await server.client.data(
    '{ accounts(first: 100) { nodes { iban bulkTransfers { nodes { transferCount } } } } }',
  );
  const counts = accounts.nodes.flatMap(
    ({ bulkTransfers }: { bulkTransfers: { nodes: { transferCount: number }[] } }) =>
      bulkTransfers.nodes.map(({ transferCount }) => transferCount),
  );
  expect(accounts.nodes).toHaveLength(5);
  expect(counts.sort()).toEqual([1000, 1000, 500]);
  expect(await server.client.balance(ACME)).toBe('100000.00');
  await server.stop();
  expect(await runScript('dist/commands/verify.js', env)).toMatchObject({ code: 0 });
});
