import { type ChildProcess, spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createConnection, type RowDataPacket } from 'mysql2/promise';
import { endProcess } from '../support/end-process.ts';
import { freePort } from '../support/free-port.ts';
import { ownLoader } from './own-loader.ts';
import { run } from './run.ts';
import type { RunningServer } from './running-server.ts';

const START_TIMEOUT_MS = 120_000;

/** The command line of an unpacked server, and its data folder. */
interface Daemon {
  readonly command: readonly [string, ...string[]];
  readonly folder: string;
}

export async function startMySql(root: string, signal: AbortSignal): Promise<RunningServer> {
  const settings = ['--secure-file-priv=NULL', '--mysqlx=OFF'];
  const daemon = await daemonOf(root, 'usr/sbin/mysqld', 'usr/share/mysql', settings);
  return startDaemon(daemon, 'mysql', signal, ([program, ...args]) =>
    run(program, [...args, '--initialize-insecure'], { signal }),
  );
}

/** Files that create the system tables of MariaDB, in this order. */
const MARIADB_TABLES = [
  'mariadb_system_tables.sql',
  'mariadb_performance_tables.sql',
  'mariadb_system_tables_data.sql',
  'maria_add_gis_sp_bootstrap.sql',
  'mariadb_sys_schema.sql',
];

export async function startMariaDb(root: string, signal: AbortSignal): Promise<RunningServer> {
  const share = 'usr/share/mariadb';
  const daemon = await daemonOf(root, 'usr/sbin/mariadbd', share, ['--skip-name-resolve']);
  const files = MARIADB_TABLES.map((name) => readFile(join(root, share, name), 'utf8'));
  const input = [
    'create database mysql;',
    'use mysql;',
    'set @auth_root_socket = null, @skip_auth_anonymous = 1;',
    ...(await Promise.all(files)),
  ].join('\n');
  return startDaemon(daemon, 'mariadb', signal, ([program, ...args]) =>
    run(program, [...args, '--bootstrap'], { signal, input }),
  );
}

async function daemonOf(
  root: string,
  program: string,
  messages: string,
  settings: readonly string[],
): Promise<Daemon> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-database-'));
  const data = join(folder, 'data');
  await mkdir(data);
  const command = [
    ...(await ownLoader(root)),
    join(root, program),
    '--no-defaults',
    ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    `--basedir=${join(root, 'usr')}`,
    `--lc-messages-dir=${join(root, messages)}`,
    `--datadir=${data}`,
    // A server that starts deletes the temporary tables in its tmpdir, even those of another server.
    `--tmpdir=${folder}`,
    ...settings,
  ] as const;
  return { command, folder };
}

async function startDaemon(
  { command, folder }: Daemon,
  scheme: string,
  signal: AbortSignal,
  initialize: (command: Daemon['command']) => Promise<unknown>,
): Promise<RunningServer> {
  let child: ChildProcess | undefined;
  const stop = async () => {
    await endProcess(child);
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await initialize(command);
    const port = await freePort();
    const log = join(folder, 'log');
    child = await spawnDaemon(
      [
        ...command,
        '--bind-address=127.0.0.1',
        `--port=${port}`,
        `--socket=${join(folder, 'socket')}`,
        `--pid-file=${join(folder, 'data/pid')}`,
        '--character-set-server=utf8mb4',
      ],
      log,
    );
    const url = `${scheme}://root@127.0.0.1:${port}`;
    const version = await untilAnswers(child, url, log, signal);
    return { version, env: { TEST_MYSQL_URL: url }, args: [], stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Starts the server so that the kernel ends it when this process ends, even by SIGKILL. */
async function spawnDaemon(command: readonly string[], log: string): Promise<ChildProcess> {
  const file = await open(log, 'w');
  try {
    return spawn('setpriv', ['--pdeathsig', 'TERM', '--', ...command], {
      stdio: ['ignore', file.fd, file.fd],
    });
  } finally {
    await file.close();
  }
}

/** @returns the server's version, once it answers */
async function untilAnswers(
  child: ChildProcess,
  url: string,
  log: string,
  signal: AbortSignal,
): Promise<string> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (child.exitCode === null && child.signalCode === null && Date.now() < deadline) {
    const version = await askVersion(url).catch(() => undefined);
    if (version !== undefined) return version;
    await sleep(100, undefined, { signal });
  }
  const lines = (await readFile(log, 'utf8')).trim().split('\n');
  throw new Error(`The server does not answer:\n${lines.slice(-20).join('\n')}`);
}

async function askVersion(url: string): Promise<string> {
  const connection = await createConnection(url.replace(/^mariadb:/, 'mysql:'));
  try {
    const [rows] = await connection.query<RowDataPacket[]>('select version() as version');
    return String(rows[0]?.version);
  } finally {
    await connection.end();
  }
}
