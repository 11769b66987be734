import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import { defineConfig, type Plugin } from 'vite';

/** A smaller file fits one packet as it is. */
const COMPRESSED_BYTES_MIN = 1_024;

/** Files come out 3 % larger than at quality 9, in a tenth of the time. */
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 5 } };

/**
 * Writes each file a second and a third time, compressed. The server sends the one that a client takes, so it compresses no
 * file itself and keeps none in memory.
 */
function compressFiles(): Plugin {
  return {
    name: 'compress-files',
    async writeBundle({ dir = '' }, bundle) {
      for (const name of Object.keys(bundle)) {
        const path = join(dir, name);
        const bytes = await readFile(path);
        if (bytes.length < COMPRESSED_BYTES_MIN) continue;
        await writeFile(`${path}.br`, await promisify(brotliCompress)(bytes, BROTLI));
        await writeFile(`${path}.gz`, await promisify(gzip)(bytes));
      }
    },
  };
}

/**
 * The browser pages, one HTML file each, bundled whole: a page loads nothing from another origin.
 * `vite build web` from the project's root finds this file and writes dist/web.
 */
export default defineConfig({
  // Relative, so that the server alone decides where a page is mounted.
  base: './',
  publicDir: false,
  plugins: [compressFiles()],
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    license: { fileName: 'third-party-licenses.md' },
    // Monaco is one chunk of about 3 MB: it is loaded from the same machine, and splitting it would only add requests.
    chunkSizeWarningLimit: 4_000,
    rolldownOptions: {
      input: { graphiql: 'graphiql.html' },
      checks: {
        // Some fifty packages say 'use client', which means nothing without a server renderer.
        moduleLevelDirective: false,
        // Compressing the files takes longer than bundling them.
        bundlerTimings: false,
      },
    },
  },
});
