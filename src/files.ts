/**
 * Paths of the server's own files. This file is in `src` in a checkout, and in `dist` after a build. Both folders are
 * directly below the project's root.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = new URL('../', import.meta.url);
const IS_BUILT = import.meta.url.endsWith('.js');

/** The landing page and GraphiQL, which always come from the build. */
export const WEB = new URL('dist/web/', ROOT);

export const SQLITE_CHECKPOINT_THREAD = new URL(
  IS_BUILT
    ? 'dist/sqlite-checkpoint-thread.js'
    : 'src/infrastructure/database/sqlite-checkpoint-thread.ts',
  ROOT,
);

export const SQLITE_SEARCH_THREAD = new URL(
  IS_BUILT ? 'dist/sqlite-search-thread.js' : 'src/infrastructure/database/sqlite-search-thread.ts',
  ROOT,
);

/** The folder in which Node keeps compiled code. It can be deleted at any time. */
export const COMPILE_CACHE = fileURLToPath(new URL('dist/compile-cache/', ROOT));

/** The version of Virement in package.json. */
export const VERSION: string = JSON.parse(
  readFileSync(new URL('package.json', ROOT), 'utf8'),
).version;
