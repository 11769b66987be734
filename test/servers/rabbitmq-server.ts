import { glob, mkdir, rm, symlink } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { connect } from 'amqplib';
import { OWN_BROKER, vhostOf } from '../support/amqp-url.ts';
import { type RabbitMq, startRabbitMq } from '../support/rabbitmq.ts';
import { quoted, wrapPrograms, writeScript } from './own-loader.ts';
import type { RunningServer } from './running-server.ts';

/** The number of vitest workers. Each has its own virtual host. */
const WORKERS = 4;

/**
 * Starts an unpacked RabbitMQ as the tests start the machine's. Its programs come first on the PATH, so tests that
 * start their own broker use this release as well.
 */
export async function startUnpackedRabbitMq(root: string): Promise<RunningServer> {
  const path = [await makePrograms(root), process.env.PATH].join(delimiter);
  const vhosts = Array.from({ length: WORKERS }, (_, index) => vhostOf(index + 1));
  const broker = await withPath(path, () => startRabbitMq(vhosts));
  return {
    version: await askVersion(broker),
    env: { PATH: path, TEST_AMQP_URL: undefined, [OWN_BROKER]: broker.url },
    args: [`--maxWorkers=${WORKERS}`],
    stop: () => broker.close(),
  };
}

/** @returns the folder with its commands */
async function makePrograms(root: string): Promise<string> {
  const erlang = join(root, 'usr/lib/erlang');
  await wrapPrograms(root, 'usr/lib/erlang/{erts-*,lib/*/priv}/bin/*');
  const programs = join(root, 'programs');
  await rm(programs, { recursive: true, force: true });
  await mkdir(programs);
  const run = await runtimeOf(erlang);
  // Erlang's own script contains the path of an installation.
  await writeScript(
    join(programs, 'erl'),
    `export ROOTDIR=${quoted([erlang])} BINDIR=${quoted([run])} EMU=beam PROGNAME=erl`,
    `exec "$BINDIR/erlexec" "$@"`,
  );
  await symlink(join(run, 'epmd'), join(programs, 'epmd'));
  await symlink(
    join(root, 'usr/lib/rabbitmq/bin/rabbitmq-script-wrapper'),
    join(programs, 'rabbitmq-server'),
  );
  return programs;
}

async function runtimeOf(erlang: string): Promise<string> {
  for await (const folder of glob(join(erlang, 'erts-*/bin'))) return folder;
  throw new Error(`No Erlang in ${erlang}`);
}

async function withPath<Result>(path: string, work: () => Promise<Result>): Promise<Result> {
  const before = process.env.PATH;
  process.env.PATH = path;
  try {
    return await work();
  } finally {
    process.env.PATH = before;
  }
}

async function askVersion({ url }: RabbitMq): Promise<string> {
  const connection = await connect(url);
  const { version } = connection.connection.serverProperties;
  await connection.close();
  return version;
}
