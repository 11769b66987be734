import { chmod, glob, open, rename, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/**
 * Programs of a newer Debian need a newer libc than this machine has. The dynamic loader of their own libc runs them
 * with the libraries beside it. Programs of this machine that they start keep this machine's libraries.
 */

/** @returns the words that precede a program's path in a command line */
export async function ownLoader(root: string): Promise<readonly [string, ...string[]]> {
  for await (const loader of glob(join(root, 'usr/lib/*/ld-linux*.so.*')))
    return [loader, '--library-path', dirname(loader)];
  throw new Error(`No dynamic loader in ${root}`);
}

/**
 * Replaces programs by scripts that run them with their own loader, so that they may start each other.
 * @param pattern matches programs below the root
 */
export async function wrapPrograms(root: string, pattern: string): Promise<void> {
  const loader = await ownLoader(root);
  for await (const file of glob(join(root, pattern))) {
    if (file.endsWith(BINARY)) continue;
    const binary = `${file}${BINARY}`;
    if (await isBinary(file)) await rename(file, binary);
    else if (!(await isBinary(binary))) continue;
    await writeScript(file, `exec ${quoted([...loader, binary])} "$@"`);
  }
}

const BINARY = '.binary';

export async function writeScript(file: string, ...lines: readonly string[]): Promise<void> {
  await writeFile(file, `${['#!/bin/sh', ...lines].join('\n')}\n`);
  await chmod(file, 0o755);
}

export function quoted(words: readonly string[]): string {
  return words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ');
}

const ELF = Buffer.from('\x7fELF');

async function isBinary(path: string): Promise<boolean> {
  const file = await open(path).catch(() => undefined);
  if (!file) return false;
  try {
    const { buffer } = await file.read(Buffer.alloc(ELF.length), 0, ELF.length, 0);
    return buffer.equals(ELF);
  } finally {
    await file.close();
  }
}
