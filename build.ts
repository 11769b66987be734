/**
 * `npm run build:server`: bundles the server and its commands, each with the packages that it uses, into dist. A
 * start then reads a few dozen files instead of two thousand, which halves its processor time, and the image needs
 * no node_modules. Types are checked by `npm run lint`.
 */
import { existsSync, globSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { rolldown } from 'rolldown';

const LICENSES = 'third-party-licenses.txt';

const programs = [
  'src/main.ts',
  ...globSync(
    'src/commands/{dead-letters,doctor,emit-schema,emit-settings,import,migrate,rebuild-search,seed,token,verify}.ts',
  ),
];
const outputOf = (source: string) => source.replace(/^src\//, '').replace(/\.ts$/, '');

/** The folder of the package that a module belongs to; undefined for a module of ours. */
function packageOf(moduleId: string): string | undefined {
  return /^.*\/node_modules\/(?:@[^/]+\/)?[^/]+/.exec(moduleId)?.[0];
}

/** The name of a package and the texts of its licence. */
function licenseOf(folder: string): string {
  const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
  const texts = readdirSync(folder)
    .filter((file) => /^(license|licence|copying|notice)(\.|-|$)/i.test(file))
    .map((file) => readFileSync(join(folder, file), 'utf8').trim());
  return [`${name} ${version}: ${license}`, ...texts].join('\n\n');
}

const bundle = await rolldown({
  input: {
    ...Object.fromEntries(programs.map((source) => [outputOf(source), source])),
    'sqlite-checkpoint-thread': 'src/infrastructure/database/sqlite-checkpoint-thread.ts',
    'sqlite-search-thread': 'src/infrastructure/database/sqlite-search-thread.ts',
  },
  platform: 'node',
  tsconfig: 'tsconfig.json',
  // type-graphql imports it for its own validation, which is off.
  external: ['class-validator'],
  treeshake: false,
});
const { output } = await bundle.write({
  dir: 'dist',
  // Chunks stand beside the programs: src/files.ts finds all other files from there.
  chunkFileNames: '[name].js',
  sourcemap: true,
  sourcemapExcludeSources: true,
  // Like treeshake, it drops calls that only check, by throwing: decodeURIComponent(text), its result unused.
  minify: false,
  // GraphQL types, entities and errors are known by the names of their classes.
  keepNames: true,
});
await bundle.close();

const packages = output
  .flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []))
  .flatMap((moduleId) => packageOf(moduleId) ?? [])
  .filter((folder) => existsSync(join(folder, 'package.json')));
const licenses = [...new Set(packages)].sort().map(licenseOf);
writeFileSync(join('dist', LICENSES), `${licenses.join(`\n\n${'-'.repeat(72)}\n\n`)}\n`);

const written = new Set([LICENSES, ...output.map(({ fileName }) => fileName)]);
for (const { name, parentPath } of readdirSync('dist', { recursive: true, withFileTypes: true })) {
  const file = join(parentPath, name).replace(/^dist\//, '');
  // The browser pages have a build of their own.
  if (!written.has(file) && /\.js(\.map)?$/.test(file) && !file.startsWith('web/'))
    rmSync(join('dist', file));
}
