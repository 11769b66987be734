import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { findUnknownNames, readEnvironment, readSecretFiles } from './environment.js';

function aFile(text: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'virement-environment-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'settings');
  writeFileSync(file, text);
  return file;
}

const SETTINGS = ['PORT', 'HOST', 'LOG_LEVEL', 'DATABASE_URL'];

test('the file supplies variables that the environment does not have', () => {
  const ENV_FILE = aFile("PORT=1\nLOG_LEVEL='debug'\n# HOST=none\n");

  expect(readEnvironment({ ENV_FILE, PORT: '2' })).toEqual({
    values: { ENV_FILE, PORT: '2', LOG_LEVEL: 'debug' },
    fileNames: expect.toSatisfy((names) => names.sort().join() === 'LOG_LEVEL,PORT'),
  });
});

test('a variable that is set to an empty text is not taken from the file', () => {
  const ENV_FILE = aFile('PORT=1');

  expect(readEnvironment({ ENV_FILE, PORT: '' }).values).toMatchObject({ PORT: '' });
});

test('a byte order mark at the start of the file is not part of a name', () => {
  const ENV_FILE = aFile('\ufeffPORT=1\nHOST=h\n');

  expect(readEnvironment({ ENV_FILE })).toMatchObject({
    values: { PORT: '1', HOST: 'h' },
    fileNames: expect.arrayContaining(['PORT']),
  });
});

test.each([
  ['PROT', 'PORT'],
  ['HSOT', 'HOST'],
  ['LOG_LEVLE', 'LOG_LEVEL'],
])('two swapped letters are one error: %s is %s', (name, meant) => {
  const environment = { values: { [name]: '1' }, fileNames: [name] };
  expect([...findUnknownNames(environment, SETTINGS).misspelt]).toEqual([[name, meant]]);
});

test('a named file that cannot be read is an error', () => {
  expect(() => readEnvironment({ ENV_FILE: '/nowhere/.env' })).toThrow(
    /^ENV_FILE, \/nowhere\/.env, cannot be read: /,
  );
});

test('every name in the file is checked for misspellings, short ones, too', () => {
  const values = { PORTS: '1', FOO: '1', MYSQL_PORT: '1', DATABSE_URL: 'x', AUTHOR: 'a' };
  const { misspelt, others } = findUnknownNames(
    { values, fileNames: ['PORTS', 'FOO', 'MYSQL_PORT', 'DATABSE_URL'] },
    SETTINGS,
  );

  expect([...misspelt]).toEqual([
    ['PORTS', 'PORT'],
    ['DATABSE_URL', 'DATABASE_URL'],
  ]);
  expect(others).toEqual(['FOO']);
});

test('a secret is read from its file, without the line break at the end', () => {
  const AMQP_URL_FILE = aFile('amqp://user:pass@host\n');

  expect(readSecretFiles({ AMQP_URL_FILE, PORT_FILE: '/x' }, ['AMQP_URL', 'SENTRY_DSN'])).toEqual({
    values: { AMQP_URL: 'amqp://user:pass@host' },
    faults: [],
  });
});

test('a secret is refused that is set twice, or whose file cannot be read', () => {
  const env = {
    AMQP_URL: 'amqp://host',
    AMQP_URL_FILE: aFile('x'),
    SENTRY_DSN_FILE: '/nowhere/dsn',
  };

  const { faults } = readSecretFiles(env, ['AMQP_URL', 'SENTRY_DSN']);

  expect(faults).toEqual([
    'AMQP_URL_FILE: must not be set together with AMQP_URL',
    expect.stringMatching(/^SENTRY_DSN_FILE: cannot be read: /),
  ]);
});
