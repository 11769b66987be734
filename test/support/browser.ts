import { existsSync } from 'node:fs';
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { afterAll, onTestFinished } from 'vitest';
import { canRun } from './can-run.js';

const CHROMIUM = process.env.TEST_CHROMIUM || '/usr/bin/chromium';

const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** The browser that the tests of a file share. */
let started: Promise<Browser> | undefined;

/** Tells whether a file's tests in a browser can run. The browser that they share is closed after them. */
export function hasBrowser(what: string): boolean {
  afterAll(async () => {
    const browser = await started;
    started = undefined;
    await browser?.close();
  });
  if (existsSync(CHROMIUM)) return true;
  const missing = `No browser at ${CHROMIUM}. Set TEST_CHROMIUM, or: apt-get install chromium`;
  return canRun(what, missing);
}

/** Opens a page with its own profile, and records its requests and errors. */
export async function openBrowser(
  options: BrowserContextOptions = {},
): Promise<{ page: Page; requests: string[]; complaints: string[] }> {
  started ??= chromium.launch({ executablePath: CHROMIUM, args: ARGUMENTS });
  const browser = await started;
  const page = await browser.newPage({
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  onTestFinished(() => page.close());
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => {
    // A 400 comes from a tab that was run too early: see runTab.
    const isTooEarly = message.text().includes('status of 400');
    if (['error', 'warning'].includes(message.type()) && !isTooEarly) {
      complaints.push(message.text());
    }
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { page, requests, complaints };
}
