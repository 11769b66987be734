/** Tests `npm run release` in a repository of its own. */
import { spawnSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { GIT_ENVIRONMENT } from '../support/git-environment.js';

const CHANGELOG = `# Changelog

## Unreleased

### Added
- A new \`$&\` thing.

## 0.1.0 (2026-11-28)

- The first one.
`;

async function aRepository() {
  const folder = await mkdtemp(join(tmpdir(), 'virement-release-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const run = (command: string, ...args: string[]) => {
    const { status, stdout, stderr } = spawnSync(command, args, {
      cwd: folder,
      env: GIT_ENVIRONMENT,
      encoding: 'utf8',
    });
    return { status, output: stdout + stderr };
  };
  const git = (...args: string[]) => run('git', ...args).output.trim();
  await cp('release.ts', join(folder, 'release.ts'));
  await mkdir(join(folder, '.githooks'));
  await cp('.githooks/commit-msg', join(folder, '.githooks', 'commit-msg'));
  const files = {
    'CHANGELOG.md': CHANGELOG,
    'package.json': JSON.stringify({ name: 'one', version: '0.1.0', type: 'module' }),
    'package-lock.json': JSON.stringify({
      name: 'one',
      version: '0.1.0',
      lockfileVersion: 3,
      packages: { '': { name: 'one', version: '0.1.0' } },
    }),
    'clients/typescript/package.json': JSON.stringify({ name: 'client', version: '0.1.0' }),
  };
  await mkdir(join(folder, 'clients/typescript'), { recursive: true });
  for (const [path, text] of Object.entries(files)) await writeFile(join(folder, path), text);
  git('init', '--quiet', '--initial-branch=main');
  for (const [name, value] of [
    ['user.name', 'Test'],
    ['user.email', 'test@example.com'],
    ['core.hooksPath', resolve(folder, '.githooks')],
  ]) {
    git('config', name ?? '', value ?? '');
  }
  git('add', '--all');
  git('commit', '--quiet', '--message', 'feat: a thing');
  return {
    release: (...args: string[]) => run(process.execPath, 'release.ts', ...args),
    git,
    read: (path: string) => readFile(join(folder, path), 'utf8'),
    write: (path: string, text: string) => writeFile(join(folder, path), text),
  };
}

test('a release dates the entries, sets each version, and is a commit with a tag', async () => {
  const { release, git, read } = await aRepository();

  expect(release('0.2.0')).toMatchObject({ status: 0 });

  expect(await read('CHANGELOG.md')).toMatch(
    /## Unreleased\n\n## 0\.2\.0 \([0-9-]{10}\)\n\n### Added\n- A new `\$&` thing\.\n\n## 0\.1\.0/,
  );
  for (const path of ['package.json', 'package-lock.json', 'clients/typescript/package.json']) {
    expect(JSON.parse(await read(path)).version, path).toBe('0.2.0');
  }
  expect(git('log', '--format=%s', '--max-count=1')).toBe('chore: release 0.2.0');
  expect(git('status', '--porcelain')).toBe('');
  expect(git('describe', '--exact-match')).toBe('v0.2.0');
  expect(git('tag', '--list', '--format=%(contents)', 'v0.2.0')).toBe(
    '0.2.0\n\n### Added\n- A new `$&` thing.',
  );
});

test('a dry run says what it would do, and changes nothing', async () => {
  const { release, git } = await aRepository();

  // The version of package.json was released, although the checkout has no tags.
  const { status, output } = release('--dry-run');

  expect(status).toBe(0);
  expect(output).toMatch(/^Virement 0\.2\.0,/);
  expect(output).toMatch(/A new `\$&` thing\.[\s\S]*package\.json of \., clients\/typescript,/);
  expect(git('status', '--porcelain')).toBe('');
  expect(git('tag')).toBe('');
});

test('a release is refused with the reason', async () => {
  const { release, git, read, write } = await aRepository();
  const refused = (reason: string, ...args: string[]) => {
    expect(release(...args)).toEqual({ status: 1, output: expect.stringContaining(reason) });
  };

  refused('Usage:', '0.2.0', '0.3.0');
  refused('Usage:', '0.2');
  refused("Unknown option '--force'", '0.2.0', '--force');
  await write('new.txt', '');
  refused('not committed', '0.2.0');
  git('clean', '--force', '--quiet');
  git('switch', '--quiet', '--create', 'other');
  refused('not on other', '0.2.0');
  git('switch', '--quiet', 'main');
  git('tag', 'v0.2.0');
  refused('0.2.0 was released before', '0.2.0');
  refused('0.1.0 was released before', '0.1.0');
  await write('CHANGELOG.md', (await read('CHANGELOG.md')).replace(/### Added\n.*\n/, ''));
  git('commit', '--quiet', '--all', '--message', 'docs: no entries');
  refused('no entries', '0.3.0');
});
