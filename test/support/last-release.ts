import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** The built programs of a release. */
export interface Release {
  readonly version: string;
  /** Returns the path of a program. @param name its path below dist */
  program(name: string): string;
  remove(): Promise<void>;
}

/**
 * Builds the last release of this branch from its tag, or from its commit if the checkout has no tags.
 * @returns undefined if the checkout has no history: a release that is not there cannot be tested
 */
export async function buildLastRelease(): Promise<Release | undefined> {
  const commit =
    git('describe', '--tags', '--match', 'v[0-9]*', '--abbrev=0', 'HEAD^') ||
    git('log', '--grep', '^chore: release [0-9]', '--format=%H', '--max-count=1', 'HEAD^');
  if (!commit) return undefined;
  const folder = await mkdtemp(join(tmpdir(), 'virement-release-'));
  execFileSync('sh', ['-c', 'git archive "$0" | tar --extract --directory="$1"', commit, folder]);
  await symlink(resolve('node_modules'), join(folder, 'node_modules'));
  execFileSync(process.execPath, ['build.ts'], { cwd: folder });
  return {
    version: git('show', '--no-patch', '--format=%s', `${commit}^{commit}`).split(' ').at(-1) ?? '',
    program: (name) => join(folder, 'dist', name),
    remove: () => rm(folder, { recursive: true }),
  };
}

/** Runs git. @returns what it printed, or nothing if it failed */
function git(...args: readonly string[]): string {
  try {
    return execFileSync('git', args, {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return '';
  }
}
