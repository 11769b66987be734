/** npm run doctor with a broker. */
import { expect, onTestFinished, test } from 'vitest';
import { AMQP_URL } from '../support/amqp-url.js';
import { runScript } from '../support/process.js';
import { createMigratedDatabase } from '../support/test-database.js';

test('a broker that answers is named with its version', async () => {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const env = { DATABASE_URL: database.url, AMQP_URL };

  const { code, output } = await runScript('dist/commands/doctor.js', env, ['--json']);

  expect(code).toBe(0);
  expect(JSON.parse(output)).toContainEqual(
    expect.objectContaining({ part: 'broker', found: expect.stringMatching(/^RabbitMQ \d/) }),
  );
});
