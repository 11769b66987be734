import { expect, onTestFinished, test } from 'vitest';
import { ACME } from '../support/builders.js';
import { runScript, startProcess } from '../support/process.js';
import { startDatabaseProxy } from '../support/proxy.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

test('npm run seed creates the demo companies once, and the requested number of accounts and transfers', async () => {
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

test.runIf(DIALECT === 'mysql')(
  'npm run seed reports in one line that the database disconnected',
  async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const { proxy, databaseUrl } = await startDatabaseProxy(database.url);
    const gone = proxy.cutAt('Company 7', 'before').then(() => proxy.goDown());

    const { code, output } = await runScript(
      'dist/commands/seed.js',
      { DATABASE_URL: databaseUrl },
      ['--accounts', '50'],
    );
    await gone;

    expect(code).toBe(1);
    const said = output.trimEnd().split('\n');
    expect(said.at(-1)).toMatch(/^The database .* failed: /);
    expect(output).not.toMatch(/^\s+at /m);
  },
);
