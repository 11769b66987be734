import { readFileSync } from 'node:fs';

/** The version of Virement, as package.json says; it stands beside src, and beside dist. */
export const VERSION: string = JSON.parse(
  readFileSync(new URL('../package.json', import.meta.url), 'utf8'),
).version;
