/** Tests the commands as their users start them: through npm, from a terminal, on any Node. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, cp, mkdtemp, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseEnv, promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import { canRun } from '../support/can-run.js';
import { runScript, startProcess } from '../support/process.js';
import { createMigratedDatabase } from '../support/test-database.js';

const DATABASE_COMMANDS = ['main', 'commands/migrate', 'commands/seed', 'commands/verify'].map(
  (name) => `dist/${name}.js`,
);
const TOKEN = 'dist/commands/token.js';
const EMIT_SCHEMA = 'dist/commands/emit-schema.js';

async function aFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-start-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

/** Tells whether a process runs. An ended process that is not reaped does not run. */
async function isRunning(pid: number): Promise<boolean> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'stat=', '-p', String(pid)]).catch(
    () => ({ stdout: '' }),
  );
  return stdout.trim() !== '' && !stdout.startsWith('Z');
}

/** Returns the ids of all descendants of a process. */
async function descendantsOf(pid: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
  const pairs = stdout.split('\n').map((line) => line.trim().split(/\s+/).map(Number));
  const found = [pid];
  for (const parent of found) {
    for (const [child = 0, above] of pairs) if (above === parent) found.push(child);
  }
  return found.slice(1);
}

interface Npm {
  readonly child: ChildProcess;
  readonly output: () => string;
}

/** Runs a script of package.json. All processes that it starts end with the test. */
function startNpm(script: string, env: NodeJS.ProcessEnv, cwd = '.'): Npm {
  const child = spawn('npm', ['run', '--ignore-scripts', script], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ENV_FILE: '/dev/null', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    cwd,
  });
  let text = '';
  const read = (chunk: Buffer) => {
    text += chunk;
  };
  child.stdout?.on('data', read);
  child.stderr?.on('data', read);
  onTestFinished(() => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // All of the processes have ended already.
    }
  });
  return { child, output: () => text };
}

describe('npm', () => {
  test.each([
    ['start', 'SIGTERM'],
    ['start', 'SIGINT'],
    ['dev', 'SIGTERM'],
    ['dev', 'SIGINT'],
  ] as const)('run %s ends with all processes that it started on %s', async (script, signal) => {
    const DATABASE_URL = `sqlite:${join(await aFolder(), 'virement.db')}`;
    const { child, output } = startNpm(script, { PORT: '0', DATABASE_URL, STOP_LINGER_MS: '0' });
    await expect.poll(output, { timeout: 60_000 }).toContain('GraphiQL: http');
    const started = await descendantsOf(child.pid ?? 0);
    expect(started.length).toBeGreaterThan(0);
    const exited = once(child, 'exit');

    child.kill(signal);

    const [code, by] = await exited;
    expect([code, by]).toEqual([0, null]);
    expect(output()).toContain(`${signal}: stopping`);
    for (const pid of started) await expect.poll(() => isRunning(pid)).toBe(false);
  });

  test('run dev rebuilds changed files, directly in src and in web, too', async () => {
    const folder = await aFolder();
    for (const name of [
      'src',
      'migrations',
      'web',
      'dist',
      'package.json',
      'tsconfig.json',
      'build.ts',
      'dev.ts',
    ]) {
      await cp(name, join(folder, name), { recursive: true });
    }
    await symlink(resolve('node_modules'), join(folder, 'node_modules'));
    const { output } = startNpm('dev', { PORT: '0', DATABASE_URL: 'sqlite::memory:' }, folder);
    const starts = () => output().match(/GraphiQL: http/g)?.length ?? 0;
    await expect.poll(starts, { timeout: 150_000 }).toBe(1);

    await appendFile(join(folder, 'src', 'main.ts'), '\n// A change.\n');
    await expect.poll(starts, { timeout: 150_000 }).toBe(2);

    const page = join(folder, 'dist', 'web', 'graphiql.html');
    const { mtimeMs } = await stat(page);
    await appendFile(join(folder, 'web', 'graphiql.css'), '\n/* A change. */\n');
    const isBuiltAgain = () =>
      stat(page).then(
        (now) => now.mtimeMs > mtimeMs,
        () => false,
      );
    await expect.poll(isBuiltAgain, { timeout: 150_000 }).toBe(true);
    expect(starts()).toBe(2);
  });
});

describe('every command', () => {
  const OLD_NODE = `Object.defineProperty(process, 'versions', { value: { node: '20.19.5' } })`;

  test.each(['dist/main.js', TOKEN])(
    '%s names the required Node version in one line',
    async (script) => {
      const NODE_OPTIONS = `--no-experimental-sqlite --import=data:text/javascript,${encodeURIComponent(OLD_NODE)}`;
      expect(await runScript(script, { NODE_OPTIONS })).toEqual({
        code: 1,
        output: expect.stringMatching(
          /^Virement needs Node 22\.17 or later, but this is 20\.19\.5\. .*\n$/,
        ),
      });
    },
  );

  test.each([...DATABASE_COMMANDS, TOKEN, EMIT_SCHEMA])(
    '%s --help shows the usage, and an unknown argument is refused in one line',
    async (script) => {
      const cwd = await aFolder();
      const { code, output } = await runScript(script, {}, ['--help'], { cwd });
      expect([script, code]).toEqual([script, 0]);
      expect(output).toMatch(/^Usage: npm (run|start) [\s\S]*\n {2}--help +prints this help\n$/);

      const refused = await runScript(script, {}, ['nonsense'], { cwd });
      expect([refused.code, refused.output.trimEnd().split('\n')]).toEqual([
        1,
        [expect.stringContaining('nonsense')],
      ]);
    },
  );

  test.each([
    ['dist/commands/migrate.js', '--drop-data-of'],
    ['dist/commands/seed.js', '--accounts'],
    [TOKEN, '--org'],
  ])('%s %s without a value is refused in one line', async (script, option) => {
    for (const args of [[option], [`${option}=`], [option, '--help']]) {
      const { code, output } = await runScript(script, {}, args);
      expect([args, code, output]).toEqual([
        args,
        1,
        expect.stringMatching(new RegExp(`^Option '${option}.* For help: npm run .* --help\n$`)),
      ]);
    }
  });

  test('the schema is neither written nor compared outside the checkout, in one line', async () => {
    const cwd = await aFolder();
    for (const args of [[], ['--check']]) {
      expect(await runScript(EMIT_SCHEMA, {}, args, { cwd })).toEqual({
        code: 1,
        output: expect.stringMatching(/^src\/schema\/schema\.graphql cannot be used: .*\n$/),
      });
    }
  });

  test('reads .env in its working folder, and the environment takes precedence', async () => {
    const cwd = await aFolder();
    await writeFile(join(cwd, '.env'), 'PORT=first\nLOG_LEVEL=loud\n');

    for (const script of DATABASE_COMMANDS) {
      const { code, output } = await runScript(script, { ENV_FILE: '', PORT: '0' }, [], { cwd });
      expect([script, code, output]).toEqual([
        script,
        1,
        expect.stringMatching(/^The settings are wrong:\n {2}LOG_LEVEL: .*\n$/),
      ]);
    }
  });

  test('refuses a misspelt setting', async () => {
    expect(await runScript('dist/main.js', { DATABSE_URL: 'mysql://host/ledger' })).toEqual({
      code: 1,
      output:
        'The settings are wrong:\n  DATABSE_URL: is not a setting; did you mean DATABASE_URL?\n',
    });
  });
});

describe('npm run token -- --role', () => {
  test('accepts roles in any case, as the server does', async () => {
    const cwd = await aFolder();

    const { code, output } = await runScript(TOKEN, {}, ['--role', 'INITIATOR'], { cwd });

    const [, payload = ''] = /^eyJ[\w-]*\.([\w-]*)\./m.exec(output) ?? [];
    expect(code).toBe(0);
    expect(JSON.parse(Buffer.from(payload, 'base64url').toString())).toMatchObject({
      roles: ['initiator'],
    });
  });
});

describe('npm run token -- --env', () => {
  test('prints text that a shell, Node and the server read alike', async () => {
    const cwd = await aFolder();
    const { code, output } = await runScript(TOKEN, {}, ['--env'], { cwd });
    const ENV_FILE = join(cwd, 'printed');
    await writeFile(ENV_FILE, output);

    const { stdout } = await promisify(execFile)(
      'sh',
      ['-ec', '. ./printed; printf %s "$AUTH_PUBLIC_KEY"'],
      { cwd },
    );

    expect(code).toBe(0);
    expect(stdout).toMatch(/^-----BEGIN PUBLIC KEY-----\\n.*\\n-----END PUBLIC KEY-----$/);
    expect(parseEnv(output).AUTH_PUBLIC_KEY).toBe(stdout);
    const database = await createMigratedDatabase();
    onTestFinished(() => database.drop());
    const server = await startProcess({ ENV_FILE, DATABASE_URL: database.url });
    const answer = await fetch(`${server.url}/graphql?query={__typename}`);
    expect(answer.status).toBe(401);
    await server.stop();
  });
});

/** Returns the reason why no terminal can be had; undefined if script of util-linux can make one. */
async function missingTerminal(): Promise<string | undefined> {
  return promisify(execFile)('script', ['--version']).then(
    () => undefined,
    () => 'No script of util-linux',
  );
}

const MISSING_TERMINAL = await missingTerminal();

describe('the log', () => {
  test('is JSON for programs, and lines for people if LOG_FORMAT says so', async () => {
    const listening = async (LOG_FORMAT: string) => {
      const server = await startProcess({ DATABASE_URL: 'sqlite::memory:', LOG_FORMAT });
      await server.stop();
      return server.output();
    };

    for (const line of (await listening('auto')).trim().split('\n')) JSON.parse(line);
    expect(await listening('pretty')).toMatch(/^\[\d\d:\d\d:\d\d\] .*GraphiQL: http/m);
  });

  test('warns of names in .env that are not settings', async () => {
    const ENV_FILE = join(await aFolder(), 'settings');
    await writeFile(ENV_FILE, 'FAVOURITE_COLOUR=blue\nMYSQL_PORT=3307\n');
    const server = await startProcess({ DATABASE_URL: 'sqlite::memory:', ENV_FILE });
    await server.stop();

    const warnings = server
      .output()
      .split('\n')
      .filter((line) => line.includes('Unknown settings'));
    expect(warnings.map((line) => JSON.parse(line).names)).toEqual([['FAVOURITE_COLOUR']]);
  });

  test.runIf(canRun('a terminal', MISSING_TERMINAL))(
    'is for people on a terminal, and the start suggests what to try',
    async () => {
      const child = spawn('script', ['-qec', `${process.execPath} dist/main.js`, '/dev/null'], {
        env: {
          PATH: process.env.PATH,
          ENV_FILE: '/dev/null',
          PORT: '0',
          DATABASE_URL: 'sqlite::memory:',
        },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      onTestFinished(() => void child.kill('SIGKILL'));
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => {
        text += chunk;
      });
      await expect.poll(() => text).toContain('Ctrl-C');
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;

      expect(text).not.toMatch(/^\{/m);
      expect(text).toMatch(/Open +http:\/\/127\.0\.0\.1:\d+\/\s/);
      expect(text).toMatch(/GraphiQL +http:\/\/127\.0\.0\.1:\d+\/graphiql\/\s/);
      expect(text).toContain('FR10474608000002006107XXXXX');
    },
  );
});
