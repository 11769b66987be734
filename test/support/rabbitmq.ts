import { type ChildProcess, spawn } from 'node:child_process';
import { access, constants, mkdtemp, realpath, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from 'amqplib';
// Node itself also loads this file, and needs the real file name.
import { endProcess } from './end-process.ts';
import { freePort } from './free-port.ts';

/** A RabbitMQ for the tests, with its own node, ports, cookie and folder. */
export interface RabbitMq {
  /** The URL without a virtual host, which means the default one. */
  readonly url: string;
  /** Starts the broker on its existing data. Resolves once it answers. */
  start(): Promise<void>;
  /** Stops the broker with SIGTERM, as an operator does. Resolves after its exit. */
  stop(): Promise<void>;
  /** Ends the broker and deletes its folder. */
  close(): Promise<void>;
}

/** A start takes 7 s on two idle cores. */
const START_TIMEOUT_MS = 120_000;

/** Returns the reason why RabbitMQ cannot run; undefined if it can. */
export async function missingRabbitMq(): Promise<string | undefined> {
  for (const program of ['rabbitmq-server', 'epmd']) {
    if (!(await findProgram(program)))
      return `No ${program} on PATH: apt-get install rabbitmq-server`;
  }
  return undefined;
}

/**
 * Starts a broker; the caller closes it.
 * @param vhosts virtual hosts besides the default one; the user guest has all privileges in each
 * @param settings further settings in its environment
 */
export async function startRabbitMq(
  vhosts: readonly string[] = [],
  settings: NodeJS.ProcessEnv = {},
): Promise<RabbitMq> {
  const missing = await missingRabbitMq();
  if (missing !== undefined) throw new Error(missing);
  const folder = await mkdtemp(join(tmpdir(), 'virement-rabbitmq-'));
  const port = await freePort();
  const env = { ...(await prepare(folder, port, ['/', ...vhosts])), ...settings };
  const url = `amqp://guest:guest@127.0.0.1:${port}`;
  const epmd = spawn('epmd', [], { env, stdio: 'ignore' });
  let node: ChildProcess | undefined;
  const stop = async () => {
    await endProcess(node);
  };
  const close = async () => {
    await stop();
    epmd.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
  };
  const start = async () => {
    node = await startNode(env);
    await untilAnswers(node, url);
  };
  try {
    await start();
  } catch (error) {
    await close();
    throw error;
  }
  return { url, start, stop, close };
}

/** Writes the settings of a broker. @returns its environment */
async function prepare(
  folder: string,
  port: number,
  vhosts: readonly string[],
): Promise<NodeJS.ProcessEnv> {
  const definitions = join(folder, 'definitions.json');
  const everything = { configure: '.*', write: '.*', read: '.*' };
  await writeFile(
    definitions,
    JSON.stringify({
      users: [{ name: 'guest', password: 'guest', tags: 'administrator' }],
      vhosts: vhosts.map((name) => ({ name })),
      permissions: vhosts.map((vhost) => ({ user: 'guest', vhost, ...everything })),
    }),
  );
  const settings = [`load_definitions = ${definitions}`, 'disk_free_limit.absolute = 1MB'];
  await writeFile(join(folder, 'rabbitmq.conf'), settings.join('\n'));
  await writeFile(join(folder, 'enabled_plugins'), '[].');
  return {
    PATH: process.env.PATH,
    // Erlang writes its cookie there.
    HOME: folder,
    ERL_EPMD_PORT: String(await freePort()),
    ERL_EPMD_ADDRESS: '127.0.0.1',
    RABBITMQ_NODENAME: `virement-test-${port}@localhost`,
    RABBITMQ_NODE_IP_ADDRESS: '127.0.0.1',
    RABBITMQ_NODE_PORT: String(port),
    RABBITMQ_DIST_PORT: String(await freePort()),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: '-kernel inet_dist_use_interface {127,0,0,1}',
    RABBITMQ_MNESIA_BASE: join(folder, 'data'),
    RABBITMQ_LOG_BASE: join(folder, 'log'),
    RABBITMQ_PID_FILE: join(folder, 'pid'),
    RABBITMQ_CONFIG_FILE: join(folder, 'rabbitmq.conf'),
    // The settings in /etc/rabbitmq are for the machine's own broker.
    RABBITMQ_CONF_ENV_FILE: join(folder, 'rabbitmq-env.conf'),
    RABBITMQ_ENABLED_PLUGINS_FILE: join(folder, 'enabled_plugins'),
    // The script becomes Erlang and is not its parent. Erlang ends with its standard input, so a broker never outlives
    // the tests, however they end.
    RABBITMQ_ALLOW_INPUT: 'true',
  };
}

async function startNode(env: NodeJS.ProcessEnv): Promise<ChildProcess> {
  const found = await findProgram('rabbitmq-server');
  if (!found) throw new Error('There is no rabbitmq-server on PATH');
  // Debian's command is a link to a wrapper that runs the broker as the user rabbitmq in its home. The script itself is
  // beside the wrapper.
  const script = join(dirname(await realpath(found)), 'rabbitmq-server');
  return spawn(script, [], { env, stdio: ['pipe', 'ignore', 'ignore'] });
}

async function untilAnswers(node: ChildProcess, url: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (node.exitCode === null && node.signalCode === null) {
    const connection = await connect(url).catch(() => undefined);
    if (connection) return connection.close();
    if (Date.now() > deadline) throw new Error(`No answer from ${url} in ${START_TIMEOUT_MS} ms`);
    await sleep(100);
  }
  throw new Error(`rabbitmq-server exited with ${node.exitCode ?? node.signalCode}`);
}

async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const file = join(folder, name);
    const isThere = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return file;
  }
  return undefined;
}
