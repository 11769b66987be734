import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { onTestFinished } from 'vitest';
import { endProcess } from './end-process.js';
import { freePort } from './free-port.js';
import { INSTALLED_DATA } from './mysql-url.js';

const run = promisify(execFile);

/** A MariaDB for one test, with its own port and folder. The test may kill it. */
export interface MariaDb {
  readonly port: number;
  /** The URL without the name of a database. */
  readonly url: string;
  /** Kills the server with SIGKILL. Resolves after its exit. */
  kill(): Promise<void>;
  /** Stops the server with SIGTERM, as an operator does. */
  stop(): Promise<void>;
  /** Starts the server on its existing data. Resolves once it answers. */
  start(): Promise<void>;
  /** Runs a statement as root over the local socket, not over TCP. */
  run(sql: string): Promise<RowDataPacket[]>;
}

const MARIADBD = '/usr/sbin/mariadbd';

/** Returns the reason why MariaDB cannot run; undefined if it can. */
export async function missingMariaDb(): Promise<string | undefined> {
  return run(MARIADBD, ['--no-defaults', '--version']).then(
    () => undefined,
    () => `No ${MARIADBD}: apt-get install mariadb-server`,
  );
}

/** Settings of a small server with the default durability. */
const SETTINGS = [
  '--bind-address=127.0.0.1',
  '--skip-name-resolve',
  '--character-set-server=utf8mb4',
  '--innodb-buffer-pool-size=64M',
  '--innodb-log-file-size=32M',
];

/**
 * Returns the option that gives a server temporary files of its own. A MariaDB that starts deletes every temporary table
 * in its tmpdir, even one that another server is using: the statement of that server then fails.
 */
const tmpdirIn = (folder: string) => `--tmpdir=${folder}`;

/** MariaDB refuses to run as root. */
const USER = process.getuid?.() === 0 ? ['--user=mysql'] : [];

/** Makes a folder that MariaDB may write to. */
async function makeFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-mariadb-'));
  await chmod(folder, 0o755);
  if (USER.length > 0) await ownByMysql(folder);
  return folder;
}

/** Creates a folder with the data of a new MariaDB; the caller deletes it. */
export async function installMariaDb(): Promise<string> {
  const folder = await makeFolder();
  await install(join(folder, 'data'));
  return folder;
}

/** Installs a MariaDB in a folder, or copies an installed one, which takes a tenth of the time. */
async function install(data: string): Promise<void> {
  const installed = process.env[INSTALLED_DATA];
  if (installed) {
    await run('cp', ['-a', join(installed, 'data'), data]);
    return;
  }
  await run('mariadb-install-db', [
    '--no-defaults',
    ...USER,
    `--datadir=${data}`,
    tmpdirIn(dirname(data)),
    '--skip-test-db',
    '--auth-root-authentication-method=normal',
  ]);
}

/**
 * Starts a MariaDB that ends with the test.
 * @param settings further options of the server, or replacements of the usual ones
 */
export async function startMariaDb(settings: readonly string[] = []): Promise<MariaDb> {
  const { close, ...mariaDb } = await launchMariaDb(settings);
  onTestFinished(close);
  return mariaDb;
}

/** Starts a MariaDB; the caller closes it. */
export async function launchMariaDb(
  settings: readonly string[] = [],
): Promise<MariaDb & { close(): Promise<void> }> {
  const folder = await makeFolder();
  const data = join(folder, 'data');
  await install(data);
  const port = await freePort();
  const socket = join(folder, 'socket');
  const asRoot = { socketPath: socket, user: 'root' };
  let child: ChildProcess | undefined;
  const start = async () => {
    const args = [...USER, `--datadir=${data}`, `--socket=${socket}`, `--port=${port}`];
    const all = ['--no-defaults', ...args, tmpdirIn(folder), ...SETTINGS, ...settings];
    child = spawn(MARIADBD, all, { stdio: 'ignore' });
    while (child.exitCode === null) {
      const connection = await createConnection(asRoot).catch(() => undefined);
      if (connection) return connection.end();
      await sleep(50);
    }
    throw new Error(`mariadbd exited with ${child.exitCode}`);
  };
  const close = async () => {
    await endProcess(child, 'SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  await start().catch(async (error) => {
    await close();
    throw error;
  });
  return {
    close,
    port,
    url: `mariadb://root@127.0.0.1:${port}`,
    kill: async () => {
      await endProcess(child, 'SIGKILL');
    },
    stop: async () => {
      await endProcess(child);
    },
    start,
    run: async (sql) => {
      const connection = await createConnection(asRoot);
      try {
        const [rows] = await connection.query<RowDataPacket[]>(sql);
        return rows;
      } finally {
        await connection.end();
      }
    },
  };
}

/** Creates a user with privileges on one database only, so that `read_only` applies to the user. @returns the URL */
export async function createUserOf(mariaDb: MariaDb, databaseUrl: string): Promise<string> {
  const database = new URL(databaseUrl).pathname.slice(1);
  await mariaDb.run(`create user bank@'%' identified by 'secret'`);
  await mariaDb.run(`grant all on ${database}.* to bank@'%'`);
  const url = new URL(databaseUrl);
  url.username = 'bank';
  url.password = 'secret';
  return url.href;
}

async function ownByMysql(folder: string): Promise<void> {
  const { stdout } = await run('id', ['-u', 'mysql']);
  const { stdout: group } = await run('id', ['-g', 'mysql']);
  await chown(folder, Number(stdout), Number(group));
}
