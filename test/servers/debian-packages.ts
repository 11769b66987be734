import { chmod, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { run } from './run.ts';

/** Packages of a Debian release, which may differ from the release of this machine. */
export interface PackageRequest {
  readonly suite: 'trixie' | 'sid';
  readonly packages: readonly string[];
}

/** An error for packages that this machine cannot get. It is not a failure of a test. */
export class Unavailable extends Error {}

/** Debian's signing keys on this machine. An old version may lack the keys of the newest releases. */
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Packages that only maintainer scripts and tools need. With their dependencies they are a third of the download. */
const NOT_NEEDED = [
  'adduser',
  'debconf',
  'init-system-helpers',
  'logrotate',
  'perl',
  'procps',
  'python3',
  'socat',
  'systemd',
];

/**
 * Fetches packages with all their libraries, checks Debian's signature, and unpacks them into a folder. Nothing is
 * installed, and apt's own state does not change.
 * @param folder is complete if it exists; its packages.txt lists the packages
 * @throws Unavailable
 */
export async function fetchPackages(
  request: PackageRequest,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const apt = await mkdtemp(join(tmpdir(), 'virement-apt-'));
  try {
    // apt downloads as its own user, who must be able to enter the folder.
    await chmod(apt, 0o755);
    const packages = await download(request, apt, signal);
    await unpack(packages, folder, signal);
  } finally {
    await rm(apt, { recursive: true, force: true });
  }
}

/** @returns the downloaded files */
async function download(
  { suite, packages }: PackageRequest,
  apt: string,
  signal: AbortSignal,
): Promise<string[]> {
  const mirror = await findMirror(signal);
  const archives = join(apt, 'cache/archives');
  for (const part of ['state/lists/partial', 'cache/archives/partial'])
    await mkdir(join(apt, part), { recursive: true });
  await writeFile(
    join(apt, 'debian.sources'),
    `Types: deb\nURIs: ${mirror}\nSuites: ${suite}\nComponents: main\nSigned-By: ${KEYRING}\n`,
  );
  await writeFile(join(apt, 'status'), NOT_NEEDED.map(asInstalled).join('\n'));
  const options = aptSettings(apt).flatMap((setting) => ['-o', setting]);
  await runApt([...options, 'update'], signal);
  await runApt([...options, 'install', '--yes', '--download-only', ...packages], signal);
  return (await readdir(archives))
    .filter((name) => name.endsWith('.deb'))
    .map((name) => join(archives, name));
}

/** Returns settings that give apt a separate state. Proxies and similar settings stay those of the machine. */
function aptSettings(apt: string): string[] {
  return [
    `Dir::State=${join(apt, 'state')}`,
    `Dir::State::status=${join(apt, 'status')}`,
    `Dir::Cache=${join(apt, 'cache')}`,
    `Dir::Etc::sourcelist=${join(apt, 'debian.sources')}`,
    'Dir::Etc::sourceparts=/dev/null',
    'Dir::Etc::preferences=/dev/null',
    'Dir::Etc::preferencesparts=/dev/null',
    'Debug::NoLocking=true',
    'APT::Install-Recommends=false',
    'APT::Update::Error-Mode=any',
    'APT::Get::AllowUnauthenticated=false',
    'Acquire::AllowInsecureRepositories=false',
    'Acquire::AllowWeakRepositories=false',
    'Acquire::Languages=none',
    'Acquire::Retries=2',
    'Acquire::http::Timeout=20',
  ];
}

function asInstalled(name: string): string {
  return `Package: ${name}
Status: install ok installed
Version: 9999
Architecture: all
Multi-Arch: allowed
Maintainer: none
Description: not needed
`;
}

async function runApt(args: readonly string[], signal: AbortSignal): Promise<void> {
  await run('apt-get', ['-qq', ...args], { signal }).catch((error: Error) => {
    throw new Unavailable(error.message, { cause: error });
  });
}

/** @returns the address of the Debian archive that this machine uses */
async function findMirror(signal: AbortSignal): Promise<string> {
  const release = await readFile('/etc/os-release', 'utf8').catch(() => '');
  if (!/^ID=debian$/m.test(release)) throw new Unavailable('this machine is not a Debian');
  const codename = /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] ?? 'sid';
  await readFile(KEYRING).catch(() => {
    throw new Unavailable(`no ${KEYRING}: apt-get install debian-archive-keyring`);
  });
  const uris = await run('apt-get', ['update', '--print-uris'], { signal }).catch(() => '');
  const suites = new Set([codename, 'stable', 'testing', 'unstable', 'sid']);
  for (const [, mirror, suite] of uris.matchAll(/^'(\S+?)\/dists\/(\w+)\/InRelease'/gm)) {
    if (mirror && suite && suites.has(suite)) return mirror;
  }
  throw new Unavailable(`apt's sources have no archive of Debian's ${codename}`);
}

async function unpack(
  packages: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const partial = `${folder}.partial`;
  await rm(partial, { recursive: true, force: true });
  await mkdir(partial, { recursive: true });
  for (const file of packages) await run('dpkg-deb', ['--extract', file, partial], { signal });
  const names = packages.map((file) => decodeURIComponent(basename(file)));
  await writeFile(join(partial, 'packages.txt'), `${names.sort().join('\n')}\n`);
  await rm(folder, { recursive: true, force: true });
  await rename(partial, folder);
}
