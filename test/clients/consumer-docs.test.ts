/** Tests the example of the consumer package with a server. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { connect } from 'amqplib';
import { expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { aBulk, aTransfer } from '../support/builders.js';
import { endProcess } from '../support/end-process.js';
import { startServer } from '../support/server.js';
import { writeSnippets } from '../support/snippets.js';

const DOCUMENT = 'clients/consumer/README.md';

const TSCONFIG = {
  extends: '../../test/tsconfig.json',
  compilerOptions: { rootDir: '.', paths: {}, types: ['node'] },
  include: ['*.ts'],
};

/** The default delays with their jitter. */
const DELAYS_MS = [1_000, 10_000, 60_000, 600_000].flatMap((delayMs) => [
  delayMs * 0.8,
  delayMs,
  delayMs * 1.2,
]);

async function removeQueues(): Promise<void> {
  const connection = await connect(AMQP_URL);
  const channel = await connection.createChannel();
  const retries = DELAYS_MS.map((delayMs) => `payroll.retry.${delayMs}`);
  for (const queue of ['payroll', ...retries, 'virement.dead-letters']) {
    await channel.deleteQueue(queue);
  }
  await connection.close();
}

test('the example type-checks, stores each transfer of a bulk, and ends when it is asked to', async () => {
  const { folder, names, pathOf } = await writeSnippets(DOCUMENT);
  expect(names).toEqual(['payroll.ts']);
  await writeFile(pathOf('tsconfig.json'), JSON.stringify(TSCONFIG));
  const checked = await promisify(execFile)('npx', ['tsc', '-p', folder]).catch((error) => error);
  expect(checked.stdout).toBe('');
  onTestFinished(removeQueues);
  const service = spawn(process.execPath, [pathOf('payroll.ts')], {
    cwd: folder,
    env: { ...process.env, AMQP_URL, NODE_NO_WARNINGS: '1' },
  });
  const complaints: string[] = [];
  service.stderr.on('data', (chunk: Buffer) => complaints.push(String(chunk)));
  onTestFinished(async () => {
    await endProcess(service, 'SIGKILL');
  });
  const amounts = () => {
    const database = new DatabaseSync(join(folder, 'payroll.db'));
    try {
      const rows = database.prepare('select amount from payslip order by amount').all();
      return rows.map(({ amount }) => amount);
    } finally {
      database.close();
    }
  };
  await expect.poll(hasPayrollQueue).toBe(true);

  const { client } = await startServer({ AMQP_URL });
  await client.perform(aBulk(['1.00', '2.00', '3.00'].map((amount) => aTransfer({ amount }))));

  await expect.poll(amounts).toEqual(['1.00', '2.00', '3.00']);
  const exited = once(service, 'exit');
  service.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  expect(complaints).toEqual([]);
});

/** Tells whether the service has declared its queue, and bound it, so that no event passes it by. */
async function hasPayrollQueue(): Promise<boolean> {
  const connection = await connect(AMQP_URL);
  try {
    const channel = await connection.createChannel();
    channel.on('error', () => {});
    return (await channel.checkQueue('payroll')).consumerCount === 1;
  } catch {
    return false;
  } finally {
    await connection.close();
  }
}
