/** Tests what an operator reads if a setting or a file is wrong: one sentence, without a stack or a secret. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, chown, copyFile, mkdir, mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RabbitMqBroker } from '../../src/infrastructure/broker/rabbitmq-broker.js';
import { makeLogger } from '../../src/infrastructure/observability/logger.js';
import { MYSQL_URL } from '../support/mysql-url.js';
import { type RunOptions, runScript } from '../support/process.js';
import { createMigratedDatabase, DIALECT } from '../support/test-database.js';

const SERVER = 'dist/main.js';
const WRITERS = [SERVER, 'dist/commands/migrate.js', 'dist/commands/seed.js'];
const ALL = [...WRITERS, 'dist/commands/verify.js'];

/** The user nobody of Debian; root may read and write everything. */
const UID = 65_534;

/** Tells whether a program can run as another user who can read this checkout. */
function canRunAsAnother(): boolean {
  if (process.getuid?.() !== 0) return false;
  const look = `require('node:fs').accessSync(${JSON.stringify(resolve(SERVER))})`;
  return spawnSync(process.execPath, ['-e', look], { uid: UID }).status === 0;
}

const MAY_BE_ANOTHER = canRunAsAnother();
if (!MAY_BE_ANOTHER) {
  console.warn(
    '*** SKIPPED: files without permission. Run the tests as root in a checkout that all may read. ***',
  );
}

async function aFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-operator-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a program that must fail. @returns its output */
async function complaintOf(
  script: string,
  env: NodeJS.ProcessEnv,
  options: RunOptions = {},
): Promise<string> {
  const { code, output } = await runScript(script, { PORT: '0', ...env }, [], options);
  expect([script, code, output]).toEqual([script, 1, expect.not.stringMatching(/^\s+at /m)]);
  expect(output).not.toContain('hunter2');
  return output.trimEnd();
}

async function expectSentence(
  scripts: readonly string[],
  file: string,
  options: RunOptions = {},
  reason = /./,
): Promise<void> {
  for (const script of scripts) {
    const complaint = await complaintOf(script, { DATABASE_URL: `sqlite:${file}` }, options);
    expect([script, complaint.split('\n')]).toEqual([script, [expect.stringContaining(file)]]);
    expect(complaint).toMatch(reason);
  }
}

// The scripts fail before they open a database.
describe.runIf(DIALECT === 'sqlite')('a setting', () => {
  test.each([
    [ALL, 'AMQP_URL', 'amqp://user:hunter2@host:99999'],
    [[SERVER], 'AMQP_URL', 'amqp://user:hunter2@host:port'],
    [[SERVER], 'AMQP_URL', 'amqp://user:hunter2%@host'],
    [[SERVER], 'DATABASE_URL', 'mysql://root:hunter2@host:99999/virement'],
    [[SERVER], 'DATABASE_URL', 'mysql://root:hunter2%@host/virement'],
  ])('%s: %s=%s is refused, without its password', async (scripts, name, value) => {
    for (const script of scripts) {
      expect(await complaintOf(script, { [name]: value })).toMatch(
        new RegExp(`^The settings are wrong:\n {2}${name}: .*port`),
      );
    }
  });

  test('keys that cannot sign tokens are named in the error', async () => {
    const folder = await aFolder();
    await writeFile(join(folder, 'data'), 'no folder');
    expect(await complaintOf('dist/commands/token.js', {}, { cwd: folder })).toMatch(
      /^The keys data\/development-key\.pem .* cannot be used: .*$/,
    );
    await rm(join(folder, 'data'));
    await mkdir(join(folder, 'data'));
    await writeFile(join(folder, 'data', 'development-key.pem'), 'no key');
    expect(await complaintOf('dist/commands/token.js', {}, { cwd: folder })).toMatch(
      /^The keys data\/development-key\.pem .* cannot be used: .*$/,
    );
  });
});

describe.runIf(DIALECT === 'sqlite')('a database file', () => {
  test('that holds other data is named', async () => {
    const file = join(await aFolder(), 'garbage.db');
    await writeFile(file, 'no database at all, and long enough to be read as one '.repeat(100));
    await expectSentence(ALL, file, {}, /file is not a database/);
  });

  test('that is damaged is named', async () => {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const file = database.url.slice('sqlite:'.length);
    // The header stays, the pages after the first are overwritten.
    const handle = await open(file, 'r+');
    const { size } = await handle.stat();
    await handle.write(Buffer.alloc(size - 4_096, 0xff), 0, size - 4_096, 4_096);
    await handle.close();
    await expectSentence(ALL, file, {}, /malformed/);
  });

  test('that is a folder is named', async () => {
    const folder = await aFolder();
    await expectSentence(ALL, folder, {}, /unable to open database file/);
  });

  test('whose folder is a file is named', async () => {
    const parent = join(await aFolder(), 'parent');
    await writeFile(parent, '');
    await expectSentence(WRITERS, join(parent, 'virement.db'));
    await expectSentence(['dist/commands/verify.js'], join(parent, 'virement.db'));
  });

  test.runIf(existsSync('/proc/self'))('whose folder cannot be created is named', async () => {
    await expectSentence(WRITERS, '/proc/virement/x/virement.db', {}, /no such file or directory/);
  });

  test.runIf(MAY_BE_ANOTHER)('that cannot be read is named', async () => {
    const { folder, file } = await aFileOfAnother();
    await chmod(file, 0o000);
    await expectSentence(ALL, file, { uid: UID, cwd: folder }, /unable to open database file/);
  });

  test.runIf(MAY_BE_ANOTHER)('that cannot be written is named at the start', async () => {
    const { folder, file } = await aFileOfAnother();
    await chmod(file, 0o444);
    await chown(file, 0, 0);
    await expectSentence(WRITERS, file, { uid: UID, cwd: folder }, /readonly database/);
  });

  test.runIf(MAY_BE_ANOTHER)('that cannot be locked is named', async () => {
    const { folder, file } = await aFileOfAnother();
    await chown(folder, 0, 0);
    await chmod(folder, 0o755);
    await expectSentence(WRITERS, file, { uid: UID, cwd: folder }, /cannot be locked/);
  });

  /** Creates a migrated database in its own folder; both belong to the other user. */
  async function aFileOfAnother() {
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const folder = await aFolder();
    const file = join(folder, 'virement.db');
    await copyFile(database.url.slice('sqlite:'.length), file);
    await chown(folder, UID, UID);
    await chown(file, UID, UID);
    return { folder, file };
  }
});

describe.runIf(DIALECT === 'mysql')('a database server', () => {
  const withPassword = (change: (url: URL) => void) => {
    const url = new URL(`${MYSQL_URL}/virement`);
    url.password = 'hunter2';
    change(url);
    return url.href;
  };

  test.each([
    ['that does not answer', withPassword((url) => Object.assign(url, { port: '1' }))],
    ['that refuses the password', withPassword((url) => Object.assign(url, { username: 'no' }))],
  ])('%s is named, without the password', async (_, DATABASE_URL) => {
    for (const script of ALL) {
      const complaint = await complaintOf(script, { DATABASE_URL });
      expect(complaint.split('\n')).toEqual([expect.stringContaining('The database virement at')]);
    }
  });
});

test('the log has no password of a broker', async () => {
  const lines: string[] = [];
  const logger = makeLogger('trace', { write: (line) => lines.push(line) });
  const broker = await RabbitMqBroker.start('amqp://user:hunter2@127.0.0.1:1', logger);
  onTestFinished(() => broker.close());
  await expect.poll(() => lines.length).toBeGreaterThan(0);
  const reason = 'No answer from amqp://user:hunter2@127.0.0.1:1';
  logger.warn({ reason }, 'As a driver may say');
  logger.error({ err: new Error(reason) }, 'As a driver may throw');

  expect(lines.join('')).toContain('amqp://user:***@127.0.0.1:1');
  expect(lines.join('')).not.toContain('hunter2');
});
