import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createConnection } from 'mysql2/promise';
import { onTestFinished } from 'vitest';

const run = promisify(execFile);

/** A MariaDB of a test's own, on a port and a folder of its own, which it may kill. */
export interface MariaDb {
  readonly port: number;
  /** With no database's name. */
  readonly url: string;
  /** kill -9; resolved once it is dead. */
  kill(): Promise<void>;
  /** Asks it to stop, as an operator does. */
  stop(): Promise<void>;
  /** Starts it on what it left; resolved once it answers. */
  start(): Promise<void>;
}

const MARIADBD = '/usr/sbin/mariadbd';

/** Why there can't be one; undefined where there can. */
export async function mariaDbLack(): Promise<string | undefined> {
  return run(MARIADBD, ['--no-defaults', '--version']).then(
    () => undefined,
    () => `No ${MARIADBD}: apt-get install mariadb-server`,
  );
}

/** Small, and as durable as by default. */
const SETTINGS = [
  '--bind-address=127.0.0.1',
  '--skip-name-resolve',
  '--character-set-server=utf8mb4',
  '--innodb-buffer-pool-size=64M',
  '--innodb-log-file-size=32M',
];

export async function startMariaDb(): Promise<MariaDb> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-mariadb-'));
  const data = join(folder, 'data');
  const user = process.getuid?.() === 0 ? ['--user=mysql'] : [];
  await chmod(folder, 0o755);
  if (user.length > 0) await ownByMysql(folder);
  await run('mariadb-install-db', [
    '--no-defaults',
    ...user,
    `--datadir=${data}`,
    '--skip-test-db',
    '--auth-root-authentication-method=normal',
  ]);
  const port = await freePort();
  const socket = join(folder, 'socket');
  let child: ChildProcess | undefined;
  const start = async () => {
    const args = [...user, `--datadir=${data}`, `--socket=${socket}`, `--port=${port}`];
    child = spawn(MARIADBD, ['--no-defaults', ...args, ...SETTINGS], { stdio: 'ignore' });
    const connect = { host: '127.0.0.1', port, user: 'root' };
    while (child.exitCode === null) {
      const connection = await createConnection(connect).catch(() => undefined);
      if (connection) return connection.end();
      await sleep(50);
    }
    throw new Error(`mariadbd exited with ${child.exitCode}`);
  };
  const end = async (signal: NodeJS.Signals) => {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill(signal);
    await exited;
  };
  onTestFinished(async () => {
    await end('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  });
  await start();
  return {
    port,
    url: `mariadb://root@127.0.0.1:${port}`,
    kill: () => end('SIGKILL'),
    stop: () => end('SIGTERM'),
    start,
  };
}

async function ownByMysql(folder: string): Promise<void> {
  const { stdout } = await run('id', ['-u', 'mysql']);
  const { stdout: group } = await run('id', ['-g', 'mysql']);
  await chown(folder, Number(stdout), Number(group));
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
