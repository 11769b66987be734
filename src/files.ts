/**
 * Where the server's own files are. This file stands in `src` in a checkout, and in `dist` once built: one folder
 * below the project's either way.
 */
import { readFileSync } from 'node:fs';

const ROOT = new URL('../', import.meta.url);
const IS_BUILT = import.meta.url.endsWith('.js');

/** The landing page and GraphiQL, which are always built. */
export const WEB = new URL('dist/web/', ROOT);

export const SQLITE_CHECKPOINT_THREAD = new URL(
  IS_BUILT
    ? 'dist/sqlite-checkpoint-thread.js'
    : 'src/infrastructure/database/sqlite-checkpoint-thread.ts',
  ROOT,
);

/** The version of Virement, as package.json says. */
export const VERSION: string = JSON.parse(
  readFileSync(new URL('package.json', ROOT), 'utf8'),
).version;
