import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { environmentExample, settingsMarkdown } from '../../src/commands/settings-documents.js';
import { loadConfig, SETTINGS } from '../../src/config.js';
import { freePort } from '../support/free-port.js';
import { runScript } from '../support/process.js';
import { startServer } from '../support/server.js';

const text = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');

const service = z.object({
  build: z.string().optional(),
  image: z.string(),
  env_file: z.array(z.object({ path: z.string(), required: z.boolean() })).default([]),
  environment: z.record(z.string(), z.string()).default({}),
  profiles: z.array(z.string()).default([]),
  read_only: z.boolean().default(false),
  cap_drop: z.array(z.string()).default([]),
  healthcheck: z
    .object({ test: z.array(z.string()).optional(), disable: z.boolean().optional() })
    .optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  ports: z.array(z.string()).default([]),
  volumes: z.array(z.string()).default([]),
  pull_policy: z.string().optional(),
  restart: z.string(),
});
type Service = z.infer<typeof service>;

const { services, volumes } = z
  .object({ services: z.record(z.string(), service), volumes: z.record(z.string(), z.unknown()) })
  .parse(parse(text('docker-compose.yml'), { merge: true }));

const dockerfile = text('Dockerfile');
const runtimeStage = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));

/** Returns a value of the file as Compose reads it with this .env; ${NAME:-default} is the only form that it uses. */
function interpolate(value: string, dotEnv: Readonly<Record<string, string>> = {}): string {
  const plain = value.replace(
    /\$\{([A-Z_]+):-([^}]*)\}/g,
    (_, name: string, fallback: string) => dotEnv[name] || fallback,
  );
  expect(plain.replaceAll('$$', '')).not.toContain('$');
  return plain.replaceAll('$$', '$');
}

/** Returns the environment of a service's container: the lines of .env where it has an env_file, then its own. */
function environmentOf(name: string, dotEnv: Readonly<Record<string, string>> = {}) {
  const { env_file = [], environment = {} } = services[name] ?? {};
  const own = Object.entries(environment).map(([key, value]) => [key, interpolate(value, dotEnv)]);
  return { ...(env_file.length > 0 ? dotEnv : {}), ...Object.fromEntries(own) };
}

/** Tells whether a service exits by itself: others wait for its end, and nothing restarts it. */
function isOneShot(name: string, { restart }: Service): boolean {
  const conditions = Object.values(services).map(({ depends_on }) => depends_on[name]?.condition);
  return restart === 'no' && conditions.includes('service_completed_successfully');
}

const exampleLines = text('.env.example').split('\n');
const example = Object.fromEntries(
  exampleLines.flatMap((line) => {
    const [, name, value] = /^#([A-Z_]+)=(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, value]];
  }),
);

describe('the reference of the settings', () => {
  test('equals the output of `npm run settings:emit`', () => {
    expect(text('docs/settings.md')).toBe(settingsMarkdown());
    expect(text('.env.example')).toBe(environmentExample());
  });

  test.each(SETTINGS)('describes %s with its default', (name) => {
    const row = new RegExp(`^\\| \`${name}\` \\| (.*) \\| (.+) \\| ([A-Z].+\\.) \\|$`, 'm');
    const [, shown = ''] = row.exec(text('docs/settings.md')) ?? expect.fail(`${name} has no row`);
    if (shown.startsWith('`')) expect(shown).toBe(`\`${example[name]}\``);
  });
});

describe('the example of an environment', () => {
  test('names every setting, and nothing else', () => {
    expect(SETTINGS).toContain('DATABASE_URL');
    expect(Object.keys(example).sort()).toEqual([...SETTINGS].sort());
  });

  test('shows the defaults', () => {
    expect(loadConfig(example)).toEqual(loadConfig({}));
  });

  test('explains each setting in the line above, and sets nothing if it is copied', () => {
    for (const [index, line] of exampleLines.entries()) {
      expect(line).toMatch(/^(#|$)/);
      if (/^#[A-Z_]+=/.test(line)) expect(exampleLines[index - 1]).toMatch(/^# .+\.$/);
    }
  });
});

describe('docker compose', () => {
  test('reads .env, which need not exist', () => {
    for (const name of ['server', 'migrate']) {
      expect(services[name]?.env_file).toEqual([{ path: '.env', required: false }]);
    }
  });

  test('sets only variables that the server reads, to values that it accepts', () => {
    for (const name of ['server', 'migrate']) {
      const { MYSQL_ROOT_PASSWORD, ...environment } = environmentOf(name);
      expect(SETTINGS).toEqual(expect.arrayContaining(Object.keys(environment)));
      expect(loadConfig(environment).databaseUrl).toBe(
        'mysql://virement:virement@mysql:3306/virement',
      );
    }
    expect(loadConfig(environmentOf('server'))).toMatchObject({
      seedDemo: true,
      introspection: true,
      graphiql: true,
    });
  });

  test('makes the server listen on the published port, whatever .env has', () => {
    expect(loadConfig(environmentOf('server', { HOST: '127.0.0.1', PORT: '5000' }))).toMatchObject({
      host: '0.0.0.0',
      port: 4000,
    });
  });

  test('gives the root password of MySQL only to MySQL', () => {
    const dotEnv = { MYSQL_ROOT_PASSWORD: 'root-secret' };
    const holders = Object.keys(services).filter((name) =>
      Object.values(environmentOf(name, dotEnv)).includes('root-secret'),
    );
    expect(holders).toEqual(['mysql']);
  });

  test('passes on every setting of .env except its own', () => {
    const dotEnv = Object.fromEntries(SETTINGS.map((name) => [name, `given-${name}`]));
    const passedOn = Object.entries(environmentOf('server', dotEnv))
      .filter(([name, value]) => value === dotEnv[name])
      .map(([name]) => name);
    const own = ['HOST', 'PORT', 'METRICS_HOST', 'METRICS_PORT', 'DATABASE_URL', 'AMQP_URL'];
    expect(passedOn.sort()).toEqual(SETTINGS.filter((name) => !own.includes(name)).sort());
    expect(services.server?.ports.map((port) => interpolate(port, { PORT: '5000' }))).toEqual([
      '127.0.0.1:5000:4000',
    ]);
  });

  test.each([{}, { MYSQL_USER: 'user', MYSQL_PASSWORD: 'secret', MYSQL_DATABASE: 'ledger' }])(
    'logs in to MySQL as the user that MySQL is given, with %o',
    (dotEnv) => {
      const mysql = environmentOf('mysql', dotEnv);
      expect(mysql).toMatchObject(dotEnv);
      expect(environmentOf('server', dotEnv).DATABASE_URL).toBe(
        `mysql://${mysql.MYSQL_USER}:${mysql.MYSQL_PASSWORD}@mysql:3306/${mysql.MYSQL_DATABASE}`,
      );
    },
  );

  test('starts the server after MySQL answers and every migration has run', () => {
    const whenMySqlAnswers = { mysql: { condition: 'service_healthy' } };
    expect(services.migrate?.depends_on).toEqual(whenMySqlAnswers);
    expect(services.server?.depends_on).toEqual({
      ...whenMySqlAnswers,
      migrate: { condition: 'service_completed_successfully' },
      rabbitmq: { condition: 'service_started' },
    });
  });

  test('publishes ports only on this machine', () => {
    const ports = Object.values(services).flatMap((each) => each.ports);
    expect(ports).not.toHaveLength(0);
    for (const port of ports) expect(interpolate(port)).toMatch(/^127\.0\.0\.1:\d+:\d+$/);
  });

  test('declares the volumes that it uses, and uses those that it declares', () => {
    const used = Object.values(services).flatMap((each) =>
      each.volumes.map((volume) => volume.split(':')[0] ?? ''),
    );
    const [files, named] = [
      used.filter((path) => path.startsWith('./')),
      used.filter((path) => !path.startsWith('./')),
    ];
    expect(named.sort()).toEqual(Object.keys(volumes).sort());
    for (const path of files) expect(existsSync(path), path).toBe(true);
  });

  test('starts the core alone without a profile', () => {
    const core = Object.keys(services).filter((name) => services[name]?.profiles.length === 0);
    expect(core.sort()).toEqual(['migrate', 'mysql', 'rabbitmq', 'server']);
  });

  test('gives the server no right that it does not need', () => {
    for (const name of ['server', 'server-2', 'migrate']) {
      expect(services[name]).toMatchObject({ read_only: true, cap_drop: ['ALL'] });
    }
  });

  /** The images that are built from this checkout. */
  const builtHere = Object.values(services).flatMap(({ build, image }) => (build ? [image] : []));

  test('builds each image once, and its other users wait for the build', () => {
    expect(new Set(builtHere).size).toBe(builtHere.length);
    const builders = Object.keys(services).filter((name) => services[name]?.build);
    for (const each of Object.values(services)) {
      if (each.build !== undefined || !builtHere.includes(each.image)) continue;
      expect(each.pull_policy).toBe('never');
      expect(builders.some((name) => name in each.depends_on)).toBe(true);
    }
  });

  test.each(Object.entries(services))(
    'checks the health of %s, unless it exits by itself',
    (name, each) => {
      const isWatched =
        each.healthcheck === undefined
          ? builtHere.includes(each.image) && runtimeStage.includes('\nHEALTHCHECK ')
          : each.healthcheck.disable !== true && (each.healthcheck.test?.length ?? 0) > 1;
      expect(isWatched).toBe(!isOneShot(name, each));
    },
  );

  test.each(Object.entries(services))('builds %s here, or pins its major version', (_, each) => {
    if (!builtHere.includes(each.image)) expect(each.image).toMatch(/:v?\d+(\.\d+)*(-[a-z]+)?$/);
    else expect(each.build ?? '.').toBe('.');
  });
});

/** Runs a health check as a container does. @returns its exit code */
function runCheck([file = '', ...args]: readonly string[], env: NodeJS.ProcessEnv) {
  return new Promise<number>((resolve) => {
    execFile(file, args, { env: { PATH: process.env.PATH, ...env } }, (error) => {
      resolve(error === null ? 0 : Number(error.code));
    });
  });
}

describe('a health check', () => {
  test('of the image succeeds if the server answers, and fails if nothing does', async () => {
    const [, check = '[]'] = /\n {2}CMD (\["bash".*\])\n/.exec(runtimeStage) ?? [];
    const command = JSON.parse(check);
    const { url } = await startServer();

    expect(await runCheck(command, { PORT: new URL(url).port })).toBe(0);
    expect(await runCheck(command, { PORT: String(await freePort()) })).toBe(1);
  });

  test('of compose asks whether the server is ready', async () => {
    const [, ...command] = services.server?.healthcheck?.test ?? [];
    const { url } = await startServer();
    const withPort = (path: string) =>
      command.map((part) =>
        interpolateCheck(part)
          .replace('/4000', `/${new URL(url).port}`)
          .replace('/readyz', path),
      );

    expect(await runCheck(withPort('/readyz'), {})).toBe(0);
    expect(await runCheck(withPort('/nothing'), {})).toBe(1);
  });
});

/** Returns a part of a check as Compose passes it on. */
const interpolateCheck = (part: string) => part.replaceAll('$$', '$');

describe('the image', () => {
  test('runs the server as a user who is not root', () => {
    const users = [...runtimeStage.matchAll(/^USER (\S+)$/gm)].map(([, user]) => user);
    expect(users).toEqual(['node']);
    expect(runtimeStage).toMatch(/\nCMD \["node", "dist\/main\.js"\]\n$/);
  });

  test('has the Node version of the tests', () => {
    const { devDependencies } = z
      .object({ devDependencies: z.object({ node: z.string() }) })
      .parse(JSON.parse(text('package.json')));
    const majors = [...dockerfile.matchAll(/^FROM node:(\d+)/gm)].map(([, major]) => major);
    expect(majors).toHaveLength(dockerfile.match(/^FROM /gm)?.length ?? 0);
    expect(new Set(majors)).toEqual(new Set([devDependencies.node.split('.')[0]]));
  });

  test('has the build, which runs without node_modules', async () => {
    expect(runtimeStage).toContain('COPY --from=build /app/dist dist\n');
    expect(runtimeStage).not.toContain('node_modules');
    const app = await mkdtemp(join(tmpdir(), 'virement-image-'));
    onTestFinished(() => rm(app, { recursive: true }));
    await cp('dist', join(app, 'dist'), { recursive: true });
    await cp('package.json', join(app, 'package.json'));
    const DATABASE_URL = `sqlite:${join(app, 'virement.db')}`;

    // The command loads the whole server and writes to its database.
    expect(await runScript(join(app, 'dist/commands/seed.js'), { DATABASE_URL })).toMatchObject({
      code: 0,
    });
  });
});
