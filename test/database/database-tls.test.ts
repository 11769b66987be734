import { copyFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { openDatabase } from '../../src/infrastructure/database/open-database.js';
import { canRun } from '../support/can-run.js';
import { type Authority, makeAuthority, missingOpenssl } from '../support/certificates.js';
import { type MariaDb, missingMariaDb, startMariaDb } from '../support/mariadb.js';
import { runScript } from '../support/process.js';
import { DIALECT } from '../support/test-database.js';

/** Starts a MariaDB that refuses connections in plain text. Its certificate is for localhost. */
async function startTlsServer(): Promise<{ mariaDb: MariaDb; authority: Authority; cert: string }> {
  const authority = await makeAuthority();
  const { cert, key } = await authority.sign('localhost');
  const mariaDb = await startMariaDb([
    '--require-secure-transport=ON',
    `--ssl-ca=${authority.cert}`,
    `--ssl-cert=${cert}`,
    `--ssl-key=${key}`,
  ]);
  await mariaDb.run('create database bank');
  await mariaDb.run(`create user bank@'%' identified by 'secret'`);
  await mariaDb.run(`grant all on bank.* to bank@'%'`);
  return { mariaDb, authority, cert };
}

/** Connects, and returns the cipher of the connection. */
async function cipherOf({ port }: MariaDb, options: Record<string, string>): Promise<string> {
  const databaseUrl = `mariadb://bank:secret@localhost:${port}/bank?${new URLSearchParams(options)}`;
  const database = await openDatabase({ databaseUrl, databasePoolMax: 5, lockTimeoutMs: 5_000 });
  try {
    const [row] = await database.orm.em.execute(`show status like 'Ssl_cipher'`);
    return String(row?.Value);
  } finally {
    await database.close();
  }
}

const missing = (await missingMariaDb()) ?? (await missingOpenssl());

describe.runIf(DIALECT === 'mysql' && canRun('a database with TLS', missing))(
  'a database that takes no plain text',
  () => {
    test('refuses a connection without ssl-mode and accepts an encrypted one', async () => {
      const { mariaDb } = await startTlsServer();

      await expect(cipherOf(mariaDb, {})).rejects.toThrow(
        /^The database bank at localhost.* cannot be used: /,
      );
      expect(await cipherOf(mariaDb, { 'ssl-mode': 'REQUIRED' })).toMatch(/^TLS_/);
    });

    test('is connected to with VERIFY_CA if that CA signed its certificate', async () => {
      const { mariaDb, authority } = await startTlsServer();
      const other = await makeAuthority();
      const verified = (ca: string) => cipherOf(mariaDb, { 'ssl-mode': 'VERIFY_CA', 'ssl-ca': ca });

      expect(await verified(authority.cert)).toMatch(/^TLS_/);
      await expect(verified(other.cert)).rejects.toThrow(/certificate/);
    });

    test('is connected to with VERIFY_IDENTITY if its certificate has its name', async () => {
      const { mariaDb, authority, cert } = await startTlsServer();
      const options = { 'ssl-mode': 'VERIFY_IDENTITY', 'ssl-ca': authority.cert };
      expect(await cipherOf(mariaDb, options)).toMatch(/^TLS_/);

      const { cert: otherCert, key: otherKey } = await authority.sign('db.example');
      await copyFile(otherCert, cert);
      await copyFile(otherKey, cert.replace(/pem$/, 'key'));
      await mariaDb.run('flush ssl');

      await expect(cipherOf(mariaDb, options)).rejects.toThrow(/does not match certificate/);
      expect(await cipherOf(mariaDb, { ...options, 'ssl-mode': 'VERIFY_CA' })).toMatch(/^TLS_/);
    });

    test('that requires a client certificate gets ssl-cert, with ssl-key', async () => {
      const { mariaDb, authority } = await startTlsServer();
      await mariaDb.run(`alter user bank@'%' require x509`);
      const { cert, key } = await authority.sign('virement');

      await expect(cipherOf(mariaDb, { 'ssl-mode': 'REQUIRED' })).rejects.toThrow(/Access denied/);
      expect(
        await cipherOf(mariaDb, { 'ssl-mode': 'REQUIRED', 'ssl-cert': cert, 'ssl-key': key }),
      ).toMatch(/^TLS_/);
    });
  },
);

describe.runIf(DIALECT === 'mysql' && canRun('a database of its own', await missingMariaDb()))(
  'a database without TLS',
  () => {
    test('is not connected to if ssl-mode is REQUIRED', async () => {
      const mariaDb = await startMariaDb();

      await expect(cipherOf(mariaDb, { 'ssl-mode': 'REQUIRED' })).rejects.toThrow(
        /does not support secure connection/,
      );
    });
  },
);

test('an unknown option is refused at the start, and the known ones are listed', async () => {
  const DATABASE_URL = 'mysql://user:secret@db.example/virement?sslmode=require';

  const { code, output } = await runScript('dist/main.js', { DATABASE_URL });

  expect(code).toBe(1);
  expect(output).toContain(
    'DATABASE_URL: has the option sslmode, which is unknown or repeated: allowed are ssl-mode, ssl-ca, ssl-cert, ssl-key',
  );
  expect(output).not.toContain('secret');
});
