/**
 * Checks the layers of ARCHITECTURE.md by the import statements of every file. A file's layer is its folder under src.
 * The programs' own files are in src itself.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const SRC = dirname(fileURLToPath(import.meta.url));
const FOLDER_LEVELS_MAX = 3;
const FOLDERS_REFUSED = ['utils', 'common', 'helpers', 'dto', 'repositories', 'interfaces'];

/** The project's own modules that each layer may import: a folder, or a file without its extension. */
const ALLOWED: Readonly<Record<string, readonly string[] | 'everything'>> = {
  domain: ['domain'],
  entities: ['domain', 'entities'],
  application: ['domain', 'entities', 'application'],
  schema: ['domain', 'schema'],
  resolvers: ['schema', 'application', 'entities', 'domain', 'resolvers'],
  infrastructure: [
    'application/ports',
    'entities',
    'domain',
    'infrastructure',
    'files',
    '../migrations',
  ],
  server: [
    'application/ports',
    'entities',
    'domain',
    'infrastructure',
    'files',
    'resolvers',
    'server',
  ],
  config: [
    'domain',
    'environment',
    'infrastructure/observability',
    'server/access/authentication-settings',
    'infrastructure/database/mysql-url',
    'server/access/loopback',
    'server/access/remote-address',
  ],
  environment: ['infrastructure/observability'],
  files: [],
  welcome: ['application', 'config', 'files'],
  program: ['infrastructure/observability'],
  commands: 'everything',
  'composition-root': 'everything',
  main: 'everything',
};

/** Files that a layer must not import although it may import their folder. */
const FORBIDDEN: Readonly<Record<string, readonly string[]>> = {
  // Resolvers read only within the caller's organizations: see ports/scoped-ledger-reader.ts.
  resolvers: ['application/ports/ledger-reader'],
};

/** The files that lock rows: accounts, orders that are performed, and the outbox messages that relays claim. */
const LOCKING = [
  'infrastructure/ledger/account-lock.ts',
  'infrastructure/ledger/order-lock.ts',
  'infrastructure/outbox/outbox.ts',
];

interface SourceFile {
  /** The path relative to src, with slashes. */
  readonly path: string;
  readonly text: string;
}

const FILES: readonly SourceFile[] = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .map((path) => path.split(sep).join('/'))
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => ({ path, text: readFileSync(join(SRC, path), 'utf8') }));

/** Matches `import … from '…'`, `export … from '…'`, `import '…'` and `import('…')`, also over several lines. */
const IMPORT =
  /^\s*(?:import|export)\b[^;'"`]*?\bfrom\s*['"]([^'"]+)['"]|\bimport\s*\(?\s*['"]([^'"]+)['"]/gm;

function importsOf({ path, text }: SourceFile): string[] {
  return [...text.matchAll(IMPORT)]
    .map(([, from, bare]) => from ?? bare ?? '')
    .filter((specifier) => specifier.startsWith('.'))
    .map((specifier) => posix.join(posix.dirname(path), specifier).replace(/\.js$/, ''));
}

const isWithin = (path: string, folder: string) => path === folder || path.startsWith(`${folder}/`);

/** Returns the innermost layer that contains a file. */
function layerOf({ path }: SourceFile): string | undefined {
  return Object.keys(ALLOWED)
    .filter((layer) => isWithin(path.replace(/\.ts$/, ''), layer))
    .sort((one, other) => other.length - one.length)[0];
}

/** Returns each import that the file's layer must not have. */
function trespassesOf(file: SourceFile): string[] {
  const layer = layerOf(file) ?? '';
  const allowed = ALLOWED[layer] ?? [];
  const forbidden = FORBIDDEN[layer] ?? [];
  if (allowed === 'everything') return [];
  return importsOf(file)
    .filter(
      (imported) =>
        forbidden.includes(imported) || !allowed.some((folder) => isWithin(imported, folder)),
    )
    .map((imported) => `${file.path} imports ${imported}`);
}

const pathsWith = (pattern: RegExp) =>
  FILES.filter(({ text }) => pattern.test(text)).map(({ path }) => path);

describe('the reader of imports', () => {
  test('sees every form of import, on one line or several', () => {
    const text = `
      import { a } from './one.js';
      import type { B } from "../two.js";
      import {
        c,
        type D,
      } from '../domain/three.js';
      import './four.js';
      export * from './five.js';
      export { e } from './six.js';
      const seven = await import('./seven.js');
      import fc from 'fast-check';
    `;

    expect(importsOf({ path: 'application/a.ts', text })).toEqual([
      'application/one',
      'two',
      'domain/three',
      'application/four',
      'application/five',
      'application/six',
      'application/seven',
    ]);
  });

  test.each([
    ['domain/a.ts', '../entities/b.js'],
    ['domain/a.ts', '../config.js'],
    ['entities/a.ts', '../application/b.js'],
    ['application/a.ts', '../infrastructure/database/b.js'],
    ['schema/a.ts', '../entities/b.js'],
    ['resolvers/a.ts', '../server/b.js'],
    ['resolvers/a.ts', '../application/ports/ledger-reader.js'],
    ['infrastructure/database/a.ts', '../../resolvers/b.js'],
    ['infrastructure/outbox/a.ts', '../../server/server.js'],
    ['infrastructure/outbox/a.ts', '../../application/perform-bulk-transfer.js'],
    ['server/streams/a.ts', '../../schema/b.js'],
  ])('finds a forbidden import: %s may not import %s', (path, specifier) => {
    expect(trespassesOf({ path, text: `import { b } from '${specifier}';` })).toHaveLength(1);
  });

  test('finds the existing files', () => {
    expect(FILES.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['main.ts', 'domain/money.ts', 'server/server.ts']),
    );
  });
});

describe('the source', () => {
  test('imports only along the layers', () => {
    expect(FILES.flatMap(trespassesOf)).toEqual([]);
  });

  test('is completely in layers', () => {
    expect(FILES.filter((file) => layerOf(file) === undefined).map(({ path }) => path)).toEqual([]);
  });

  test('imports only packages that a server is installed with', () => {
    const { dependencies } = JSON.parse(readFileSync(join(SRC, '../package.json'), 'utf8'));
    const imported = FILES.flatMap(({ text }) =>
      [...text.matchAll(IMPORT)]
        .map(([, from, bare]) => from ?? bare ?? '')
        .filter((specifier) => !specifier.startsWith('.') && !specifier.startsWith('node:'))
        .map((specifier) => /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? ''),
    );

    expect(imported.length).toBeGreaterThan(50);
    expect(imported.filter((name) => !(name in dependencies))).toEqual([]);
  });

  test('reads the environment only in config.ts', () => {
    expect(pathsWith(/\bprocess\s*(?:\.\s*env|\[\s*['"]env['"]\s*\])\b/)).toEqual(['config.ts']);
  });

  test('locks rows only in the locks of accounts and orders, and in the outbox', () => {
    const locking = pathsWith(/\bLockMode\s*\.|\blockMode\b/);

    expect(locking.filter((path) => !LOCKING.includes(path))).toEqual([]);
  });

  test(`is at most ${FOLDER_LEVELS_MAX} folders deep`, () => {
    const tooDeep = FILES.filter(({ path }) => path.split('/').length - 1 > FOLDER_LEVELS_MAX);

    expect(tooDeep.map(({ path }) => path)).toEqual([]);
  });

  test(`has no folder named ${FOLDERS_REFUSED.join(', ')}`, () => {
    const folders = new Set(FILES.flatMap(({ path }) => path.split('/').slice(0, -1)));

    expect(FOLDERS_REFUSED.filter((name) => folders.has(name))).toEqual([]);
  });
});
