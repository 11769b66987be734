/**
 * Makes a release: the entries below "Unreleased" in CHANGELOG.md become those of the version, every package.json gets
 * the version, and both are one commit with the tag vVERSION. Nothing is pushed.
 *
 *   npm run release -- [VERSION] [--dry-run]
 *
 * Without VERSION, it is the version of package.json if that was not released yet, and otherwise the next minor one.
 */
import { execFileSync } from 'node:child_process';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const CHANGELOG = 'CHANGELOG.md';
const UNRELEASED = '## Unreleased\n';
const VERSION = /^[0-9]+\.[0-9]+\.[0-9]+$/;

/** An error that the caller of the script can correct. */
class ReleaseError extends Error {}

const git = (...args: readonly string[]) =>
  execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();

/** Returns the entries below "Unreleased". @throws ReleaseError if there are none */
function unreleasedNotes(changelog: string): string {
  const from = changelog.indexOf(UNRELEASED);
  if (from < 0) throw new ReleaseError(`${CHANGELOG} has no heading "Unreleased"`);
  const notes = changelog
    .slice(from + UNRELEASED.length)
    .split(/^## /m)[0]
    ?.trim();
  if (!notes) throw new ReleaseError(`${CHANGELOG} has no entries below "Unreleased"`);
  return notes;
}

/** Tells whether a version was released, also in a checkout without tags. */
function isReleased(version: string): boolean {
  const hasTag = git('tag', '--list', `v${version}`) !== '';
  return hasTag || readFileSync(CHANGELOG, 'utf8').includes(`## ${version} (`);
}

function nextVersion(): string {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  if (!isReleased(version)) return version;
  const [major, minor] = version.split('.');
  return `${major}.${Number(minor) + 1}.0`;
}

/** @throws ReleaseError if the checkout cannot be released as the version */
function requireReleasable(version: string): void {
  if (git('status', '--porcelain') !== '') {
    throw new ReleaseError('The checkout has changes that are not committed');
  }
  const branch = git('branch', '--show-current');
  if (branch !== 'main') throw new ReleaseError(`A release is made on main, not on ${branch}`);
  if (isReleased(version)) throw new ReleaseError(`${version} was released before`);
}

function setVersion(folder: string, version: string): void {
  const args = ['version', version, '--no-git-tag-version', '--allow-same-version'];
  execFileSync('npm', [...args, '--ignore-scripts'], { cwd: folder, stdio: 'ignore' });
}

function release(version: string, isDryRun: boolean): void {
  requireReleasable(version);
  const changelog = readFileSync(CHANGELOG, 'utf8');
  const notes = unreleasedNotes(changelog);
  const date = new Date().toISOString().slice(0, 10);
  const folders = ['.', ...globSync('clients/*/package.json').map((file) => file.slice(0, -13))];
  console.log(`Virement ${version}, ${date}\n\n${notes}\n`);
  if (isDryRun) {
    console.log(`Nothing was changed. A release without --dry-run:
- sets the version in package.json of ${folders.join(', ')}, and in package-lock.json
- dates the entries above in ${CHANGELOG}
- commits that as "chore: release ${version}", with the tag v${version}`);
    return;
  }
  const heading = `${UNRELEASED}\n## ${version} (${date})\n`;
  writeFileSync(
    CHANGELOG,
    changelog.replace(UNRELEASED, () => heading),
  );
  for (const folder of folders) setVersion(folder, version);
  git('commit', '--quiet', '--all', '--message', `chore: release ${version}`);
  git(
    'tag',
    '--annotate',
    `v${version}`,
    '--cleanup=verbatim',
    '--message',
    `${version}\n\n${notes}`,
  );
  console.log(`Committed and tagged. Publish it once CI has passed: git push --follow-tags`);
}

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'dry-run': { type: 'boolean', default: false } },
  });
  const [version = nextVersion()] = positionals;
  if (positionals.length > 1 || !VERSION.test(version)) {
    const usage = 'npm run release -- [VERSION] [--dry-run], with a VERSION such as 1.2.3';
    throw new ReleaseError(`Usage: ${usage}`);
  }
  release(version, values['dry-run']);
} catch (error) {
  const isOurs =
    error instanceof ReleaseError ||
    (error as { code?: string }).code?.startsWith('ERR_PARSE_ARGS');
  if (!isOurs) throw error;
  console.error((error as Error).message);
  process.exitCode = 1;
}
