/**
 * npm run dev: the server, built and started again after every change in src and migrations; the browser
 * pages, built again after every change in web. Ctrl-C and SIGTERM end all of it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { watch } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/** Editors write a file in several steps, and several files at once. */
const SETTLE_MS = 150;

type Part = 'server' | 'web';

const PARTS: Readonly<Record<string, Part>> = { src: 'server', migrations: 'server', web: 'web' };

const changed = new Set<Part>();
const children = new Set<ChildProcess>();
let wake = () => {};
let isStopping = false;

function run(command: string, ...args: string[]): ChildProcess {
  const child = spawn(command, args, { stdio: 'inherit' });
  children.add(child);
  child.once('exit', () => children.delete(child));
  return child;
}

/** @returns whether it was built; what is wrong is on the screen otherwise */
async function build(part: Part): Promise<boolean> {
  const [code] = await once(run('npm', 'run', '--silent', `build:${part}`), 'exit');
  return code === 0;
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill('SIGTERM');
  await exited;
}

function startServer(): ChildProcess {
  // So that stacks name lines of src.
  return run(process.execPath, '--enable-source-maps', 'dist/main.js');
}

async function untilChanged(): Promise<void> {
  while (changed.size === 0 && !isStopping) {
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
    await sleep(SETTLE_MS);
  }
}

for (const [folder, part] of Object.entries(PARTS)) {
  watch(folder, { recursive: true }, () => {
    changed.add(part);
    wake();
  });
}
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    isStopping = true;
    for (const child of children) child.kill(signal);
    wake();
  });
}

let server = startServer();
while (!isStopping) {
  await untilChanged();
  const parts = [...changed];
  changed.clear();
  for (const part of parts) {
    if (isStopping) break;
    console.log(`\n${part} changed`);
    if (!(await build(part)) || part !== 'server' || isStopping) continue;
    await stop(server);
    server = startServer();
  }
}
await stop(server);
process.exit();
