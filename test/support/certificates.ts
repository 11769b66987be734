import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { onTestFinished } from 'vitest';

const run = promisify(execFile);

/** A certificate and its key, as paths of PEM files. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** A certificate authority for one test. */
export interface Authority extends Certificate {
  /** Signs a certificate for a host, or for a client with this name. */
  sign(name: string): Promise<Certificate>;
}

/** Returns the reason why no certificate can be made; undefined if one can. */
export function missingOpenssl(): Promise<string | undefined> {
  return run('openssl', ['version']).then(
    () => undefined,
    () => 'No openssl: apt-get install openssl',
  );
}

export async function makeAuthority(): Promise<Authority> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-certificates-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  // A database server reads the file as another user.
  await chmod(folder, 0o755);
  const make = async (name: string, args: readonly string[]): Promise<Certificate> => {
    const [cert, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)];
    const newKey = ['-newkey', 'rsa:2048', '-nodes', '-keyout', key];
    const subject = ['-subj', `/CN=${name}`, '-days', '2'];
    await run('openssl', ['req', '-x509', ...newKey, ...subject, '-out', cert, ...args]);
    await chmod(key, 0o644);
    return { cert, key };
  };
  const own = await make('authority', []);
  const sign = (name: string) =>
    make(name, [
      ...['-CA', own.cert, '-CAkey', own.key],
      ...['-addext', `subjectAltName=DNS:${name}`, '-addext', 'basicConstraints=critical,CA:FALSE'],
    ]);
  return { ...own, sign };
}
