import { defineConfig } from 'vite';

/**
 * The browser pages, one HTML file each, bundled whole: a page loads nothing from another origin.
 * `vite build web` from the project's root finds this file and writes dist/web.
 */
export default defineConfig({
  // Relative, so that the server alone decides where a page is mounted.
  base: './',
  publicDir: false,
  build: {
    outDir: '../dist/web',
    emptyOutDir: true,
    // Monaco is one chunk of about 3 MB: it is loaded from the same machine, and splitting it would only add requests.
    chunkSizeWarningLimit: 4_000,
    rolldownOptions: {
      input: { graphiql: 'graphiql.html' },
      // Some fifty packages say 'use client', which means nothing without a server renderer.
      checks: { moduleLevelDirective: false },
    },
  },
});
