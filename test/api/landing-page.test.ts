import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { hasBrowser, openBrowser } from '../support/browser.js';
import { ACME } from '../support/builders.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { startServer } from '../support/server.js';

async function pageOf(url: string): Promise<string> {
  return (await fetch(url, { headers: { accept: 'text/html' } })).text();
}

test('the landing page shows the version and who may call, and no secret', async () => {
  const { url, databaseUrl } = await startServer();
  const page = await pageOf(url);

  const names = { sqlite: 'SQLite, embedded', mysql: 'MySQL', mariadb: 'MariaDB' };
  const scheme = databaseUrl.slice(0, databaseUrl.indexOf(':')) as keyof typeof names;
  expect(page).toContain(names[scheme]);
  expect(page).toContain('Authentication is off');
  expect(page).toContain(JSON.parse(await readFile('package.json', 'utf8')).version);
  expect(page).toContain(ACME);
  expect(page).not.toContain(databaseUrl);
  expect(page).not.toMatch(/mysql:|mariadb:|sqlite:/);
});

test('the example call has a token if authentication is on; production shows neither version nor database', async () => {
  const provider = await startIdentityProvider();
  const { url } = await startServer({
    ...provider.env,
    NODE_ENV: 'production',
    SEED_DEMO: 'false',
  });
  const page = await pageOf(url);

  expect(page).toContain('Bearer $TOKEN');
  expect(page).toContain('Authentication is on');
  expect(page).not.toMatch(/Version|SQLite|MariaDB|Demo accounts/);
});

test('an invalid host is not written into the page', async () => {
  const provider = await startIdentityProvider();
  const { http } = await startServer(provider.env);
  const { body } = await http.inject({
    url: '/',
    headers: { host: '"><script>alert(1)</script>' },
  });

  expect(body).not.toContain('alert(1)');
});

test('the icon of the page is the one of GraphiQL', async () => {
  const { url } = await startServer();

  expect(await (await fetch(`${url}/favicon.svg`)).text()).toBe(
    await readFile('web/favicon.svg', 'utf8'),
  );
});

describe.runIf(hasBrowser('the first page in a browser'))('the landing page in a browser', () => {
  test('has a call that can be copied and gives the answer that is shown', async () => {
    const { url } = await startServer();
    const { page, requests, complaints } = await openBrowser();
    await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
    await page.goto(url);

    await page.getByRole('button', { name: 'Copy' }).click();
    await page.getByRole('status').getByText('Copied').waitFor();
    const call = await page.evaluate('navigator.clipboard.readText()');
    const { stdout } = await promisify(execFile)('sh', ['-c', String(call)]);

    const shown = await page.locator('#answer').innerText();
    expect(stdout).toContain(shown.replaceAll(/\s/g, '').replace(/,…\}$/, ''));
    expect(complaints).toEqual([]);
    for (const request of requests) expect(request).toMatch(new RegExp(`^${url}/`));
  });

  test.each([
    [1280, 'light'],
    [390, 'dark'],
    [320, 'light'],
  ] as const)('is not wider than a window of %i px (%s)', async (width, colorScheme) => {
    const { url } = await startServer();
    const { page } = await openBrowser();
    await page.emulateMedia({ colorScheme });
    await page.setViewportSize({ width, height: 844 });
    await page.goto(url);

    expect(await page.evaluate('document.documentElement.scrollWidth')).toBe(width);
    for (const amount of await page.locator('td.amount').all()) {
      const { x = 0, width: own = 0 } = (await amount.boundingBox()) ?? {};
      expect(x + own).toBeLessThanOrEqual(width);
    }
  });

  test('is complete without JavaScript, except for the copy button', async () => {
    const { url } = await startServer();
    const { page } = await openBrowser({ javaScriptEnabled: false });
    await page.goto(url);

    expect(await page.locator('#call').innerText()).toContain(`curl -s ${url}/graphql`);
    expect(await page.getByRole('button').count()).toBe(0);
  });
});
