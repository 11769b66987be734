import { existsSync } from 'node:fs';
import { type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { canRun } from './lack.js';
import { DIALECT } from './test-database.js';

const CHROMIUM = process.env.TEST_CHROMIUM || '/usr/bin/chromium';

/** Whether a test in a browser can run; one database is enough, so where it is not looked for nothing is said. */
export function hasBrowser(what: string): boolean {
  if (existsSync(CHROMIUM)) return true;
  const lack = `No browser at ${CHROMIUM}. Set TEST_CHROMIUM, or: apt-get install chromium`;
  return DIALECT === 'sqlite' && canRun(what, lack);
}

/** A page in a fresh browser, and all that it asked for and complained of. */
export async function openBrowser(
  options: BrowserContextOptions = {},
): Promise<{ page: Page; requests: string[]; complaints: string[] }> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  onTestFinished(() => browser.close());
  const page = await browser.newPage({
    viewport: { width: 1280, height: 800 },
    ...options,
  });
  const requests: string[] = [];
  const complaints: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('console', (message) => {
    // A 400 is a tab that was run too early: see runTab.
    const isTooEarly = message.text().includes('status of 400');
    if (['error', 'warning'].includes(message.type()) && !isTooEarly) {
      complaints.push(message.text());
    }
  });
  page.on('pageerror', (error) => complaints.push(error.message));
  return { page, requests, complaints };
}
