/** npm run doctor, on installations that are whole and on some that are not. */
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { aBulk, aTransfer } from '../support/builders.js';
import { freePort } from '../support/free-port.js';
import { runScript, startProcess } from '../support/process.js';
import { createDatabase, createMigratedDatabase, DIALECT } from '../support/test-database.js';

interface Finding {
  readonly verdict: string;
  readonly part: string;
  readonly found: string;
  readonly advice?: string;
}

/** Runs the command. @returns its exit code, its output and its findings */
async function examine(env: NodeJS.ProcessEnv) {
  const { code, output } = await runScript('dist/commands/doctor.js', env, ['--json']);
  const findings: Finding[] = JSON.parse(output);
  return { code, output, findings };
}

async function aDatabase(make = createMigratedDatabase) {
  const database = await make();
  onTestFinished(() => database.drop());
  return database.url;
}

const opened = async (databaseUrl: string, sql: string) => {
  const database = await openDatabase({ databaseUrl, databasePoolMax: 3, lockTimeoutMs: 5_000 });
  await database.orm.em.execute(sql);
  await database.close();
};

test('a whole installation has nothing wrong, also beside its server', async () => {
  const DATABASE_URL = await aDatabase();
  const server = await startProcess({ DATABASE_URL });
  await server.client.perform(aBulk([aTransfer()]));

  const { code, findings } = await examine({ DATABASE_URL });

  expect(code).toBe(0);
  expect(findings.filter(({ verdict }) => verdict === 'wrong')).toEqual([]);
  for (const part of ['process', 'database', 'migrations', 'privileges', 'backlogs', 'disk']) {
    expect(findings).toContainEqual(expect.objectContaining({ verdict: 'ok', part }));
  }
});

test('every setting that is wrong is named', async () => {
  const { code, findings } = await examine({ PORT: 'x', LOG_LEVEL: 'loud' });

  expect(code).toBe(1);
  expect(findings.map(({ found }) => found.split(':')[0])).toEqual(['PORT', 'LOG_LEVEL']);
});

test('a database without migrations is wrong, unless the server makes it', async () => {
  const DATABASE_URL = await aDatabase(createDatabase);

  const { code, findings } = await examine({ DATABASE_URL });

  const isWrong = DIALECT === 'mysql';
  expect(code).toBe(isWrong ? 1 : 0);
  const part = isWrong ? 'migrations' : 'database';
  const finding = findings.find(
    (each) => each.part === part && (isWrong || /yet/.test(each.found)),
  );
  expect(isWrong ? finding?.advice : finding?.found).toMatch(
    isWrong ? /npm run migrate/ : /no file/,
  );
});

test('what waits for an operator is a warning', async () => {
  const DATABASE_URL = await aDatabase();
  const id = "x'019000000000700080000000000000ff'";
  const at = DIALECT === 'mysql' ? "'2026-01-01 00:00:00'" : '1767225600000';
  await opened(
    DATABASE_URL,
    `insert into outbox_message (id, type, subject_id, sequence, created_at, attempts, parked_at)
      values (${id}, 'account.credited', ${id}, 1, ${at}, 5, ${at})`,
  );

  const { code, findings } = await examine({ DATABASE_URL });

  expect(code).toBe(0);
  expect(findings).toContainEqual(
    expect.objectContaining({ verdict: 'warning', part: 'outbox', found: '1 messages are parked' }),
  );
});

test('a broker that is away is wrong, and no password is printed', async () => {
  const DATABASE_URL = await aDatabase();
  const AMQP_URL = `amqp://user:CANARY@127.0.0.1:${await freePort()}`;

  const { code, output, findings } = await examine({ DATABASE_URL, AMQP_URL });

  expect(code).toBe(1);
  expect(findings).toContainEqual(expect.objectContaining({ verdict: 'wrong', part: 'broker' }));
  expect(output).not.toContain('CANARY');
});

test.runIf(DIALECT === 'mysql')('a database that refuses the password is wrong', async () => {
  const url = new URL(await aDatabase());
  url.username = 'nobody';
  url.password = 'CANARY';

  const { code, output, findings } = await examine({ DATABASE_URL: url.href });

  expect(code).toBe(1);
  expect(findings).toContainEqual(expect.objectContaining({ verdict: 'wrong', part: 'database' }));
  expect(output).not.toContain('CANARY');
});

test('without --json it prints a table with what to do', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'virement-doctor-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await chmod(folder, 0o700);

  const DATABASE_URL = `sqlite:${join(folder, 'none.db')}`;
  const { code, output } = await runScript('dist/commands/doctor.js', { DATABASE_URL });

  expect(code).toBe(0);
  expect(output).toMatch(/^warning {2}settings {6}authentication is off/m);
  expect(output).toMatch(/^ {23}Set AUTH_JWKS_URL/m);
  expect(output).toMatch(/^ok {7}database {6}no file yet/m);
});
