import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { onTestFinished } from 'vitest';

/** The examples of a document, as files of a folder that can import this project's packages. */
export interface Snippets {
  readonly folder: string;
  readonly names: readonly string[];
  pathOf(name: string): string;
}

/** The address of the server in the examples. */
const DOCUMENTED_URL = 'http://127.0.0.1:4000';

/** The folders of this project's packages. */
const PACKAGES = {
  '@virement/client': 'clients/typescript',
  '@virement/consumer': 'clients/consumer',
} as const;

/** Matches code fences that name a file: ```ts client.ts */
const SNIPPET = /^```\w+ (\S+)\n([\s\S]*?)^```$/gm;

/** Writes every example that names a file, with the given server's address. */
export async function writeSnippets(document: string, url = DOCUMENTED_URL): Promise<Snippets> {
  await mkdir('generated', { recursive: true });
  const folder = resolve(await mkdtemp('generated/snippets-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await mkdir(join(folder, 'node_modules/@virement'), { recursive: true });
  for (const [name, source] of Object.entries(PACKAGES)) {
    await symlink(resolve(source), join(folder, 'node_modules', name));
  }
  const names: string[] = [];
  for (const [, name = '', text = ''] of (await readFile(document, 'utf8')).matchAll(SNIPPET)) {
    names.push(name);
    await writeFile(join(folder, name), text.replaceAll(DOCUMENTED_URL, url));
  }
  return { folder, names, pathOf: (name) => join(folder, name) };
}
