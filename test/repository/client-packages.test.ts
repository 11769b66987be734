/** Tests that each client package is independent: its imports are its own files, its dependencies, or modules of Node. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const read = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'));

const root = read('package.json');

/** Returns the package of an import: `graphql-ws/client` belongs to graphql-ws. */
const packageOf = (specifier: string) =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

function specifiersIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts'))
    .map((path) => readFileSync(join(folder, path), 'utf8'))
    .flatMap((text) =>
      [...text.matchAll(/^(?:import|export|\}).*\bfrom '([^']+)'/gm)].map(
        ([, specifier]) => specifier ?? '',
      ),
    );
}

describe.each([
  // This package also runs in browsers, which have no modules of Node.
  { name: 'typescript', ownImport: /^\.\.?\// },
  { name: 'consumer', ownImport: /^(\.|node:)/ },
])('the package clients/$name', ({ name, ownImport }) => {
  const own = read('clients', name, 'package.json');
  const specifiers = specifiersIn(join('clients', name, 'src'));

  test('imports only its own files and its dependencies', () => {
    const foreign = specifiers.filter((specifier) => !ownImport.test(specifier));

    expect(specifiers.length).toBeGreaterThan(0);
    expect(foreign.map(packageOf).filter((one) => !(one in own.dependencies))).toEqual([]);
    expect(specifiers.filter((specifier) => specifier.startsWith('../..'))).toEqual([]);
  });

  test('has the dependencies that the tests use', () => {
    const tested = { ...root.dependencies, ...root.devDependencies };

    expect(own.dependencies).toEqual(
      Object.fromEntries(Object.keys(own.dependencies).map((one) => [one, tested[one]])),
    );
  });
});
