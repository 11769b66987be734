/** The folders of the bench and of the repository, so that no file counts the folders above it. */
import { join } from 'node:path';

const BENCH = join(import.meta.dirname, '..');
const ROOT = join(BENCH, '..');

/** The server as `npm run build:server` leaves it. */
export const DIST = join(ROOT, 'dist');

/** The documents that a full run writes to. */
export const DOCS = join(ROOT, 'docs');

/** The figures of the last full run, which are committed. */
export const FIGURES_FILE = join(BENCH, 'figures.json');

/** The CPU profiles, which are not committed. */
export const OUTPUT = join(BENCH, 'output');

/** The packages of the bench. */
export const PACKAGES = join(BENCH, 'node_modules');
