/** Tests that the package is independent: its imports are its own files, its dependencies, or modules of Node. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const SRC = dirname(fileURLToPath(import.meta.url));

const read = (path: string) => JSON.parse(readFileSync(join(SRC, path), 'utf8'));

const own = read('../package.json');
const root = read('../../../package.json');

/** Returns the package of an import: `graphql-ws/client` belongs to graphql-ws. */
const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

const specifiers = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
  .map((path) => readFileSync(join(SRC, path), 'utf8'))
  .flatMap((text) =>
    [...text.matchAll(/^(?:import|export|\}).*\bfrom '([^']+)'/gm)].map(
      ([, specifier]) => specifier ?? '',
    ),
  );

test('the package imports only its own files and its dependencies', () => {
  const foreign = specifiers.filter((specifier) => !/^(\.|node:)/.test(specifier));

  expect(foreign.map(packageOf).filter((name) => !(name in own.dependencies))).toEqual([]);
  expect(specifiers.filter((specifier) => specifier.startsWith('../..'))).toEqual([]);
});

test('the dependencies of the package are those of the tests', () => {
  const tested = { ...root.dependencies, ...root.devDependencies };

  expect(own.dependencies).toEqual(
    Object.fromEntries(Object.keys(own.dependencies).map((name) => [name, tested[name]])),
  );
});
