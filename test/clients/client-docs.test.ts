/** Tests that every example of docs/clients.md works through a network that is cut. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium, type Page, type Route } from 'playwright-core';
import { build } from 'vite';
import { describe, expect, onTestFinished, test } from 'vitest';
import { ACME, aBulk, aTransfer } from '../support/builders.js';
import { canRun } from '../support/can-run.js';
import type { Client } from '../support/client.js';
import { generateClient } from '../support/codegen.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { portOf, startProxy } from '../support/proxy.js';
import { startServer } from '../support/server.js';
import { writeSnippets } from '../support/snippets.js';

const DOCUMENT = 'docs/clients.md';

const CHROMIUM = process.env.TEST_CHROMIUM || '/usr/bin/chromium';

const HAS_CHROMIUM = canRun(
  'React in a browser',
  existsSync(CHROMIUM) ? undefined : `No browser at ${CHROMIUM}.`,
);

/** A program starts slowly on a loaded machine. */
const POLL = { timeout: 60_000 };

/** Starts a server with authentication behind a network that can be cut. The payer has one transfer. */
async function startPayer(env: NodeJS.ProcessEnv = {}) {
  const provider = await startIdentityProvider();
  const { client: anyone, url: direct } = await startServer({ ...provider.env, ...env });
  const operator = anyone.as(await provider.token({ roles: ['operator'] }));
  const { accounts } = await operator.data('{ accounts { nodes { iban organizationId } } }');
  const org = accounts.nodes.find(({ iban }: { iban: string }) => iban === ACME).organizationId;
  const newToken = (expiresIn?: string) => provider.token({ org, roles: ['initiator'] }, expiresIn);
  const token = await newToken();
  const payer = anyone.as(token);
  await payTo(payer, 'Before');
  const { account } = await payer.data(
    'query ($iban: String!) { account(iban: $iban) { transfers(first: 1) { edges { cursor } } } }',
    { iban: ACME },
  );
  const proxy = await startProxy({ host: '127.0.0.1', port: portOf(direct) });
  const after: string = account.transfers.edges[0].cursor;
  return { payer, newToken, token, proxy, after, url: `http://127.0.0.1:${proxy.port}` };
}

/**
 * Makes a token that lasts for 15 seconds: the server accepts a token until 30 seconds after it expires.
 * @returns the token, and a function that waits until the server refuses it
 */
async function shortToken({ payer, newToken }: Awaited<ReturnType<typeof startPayer>>) {
  const token = await newToken('-15s');
  const untilRefused = () =>
    expect
      .poll(async () => (await payer.as(token).send('{ __typename }')).errors?.length, POLL)
      .toBe(1);
  return { token, untilRefused };
}

/** Returns the cursor of a position that the ledger does not have, as after a restore from a backup. */
function lostCursor(cursor: string): string {
  const [kind, accountId, position = ''] = Buffer.from(cursor, 'base64url').toString().split('~');
  return Buffer.from(`${kind}~${accountId}~${BigInt(position) + 1_000n}`).toString('base64url');
}

/** Returns a cursor of the payer's bulks, which is invalid for its transfers. */
async function foreignCursor(payer: Client): Promise<string> {
  const { account } = await payer.data(
    'query ($iban: String!) { account(iban: $iban) { bulkTransfers(first: 1) { edges { cursor } } } }',
    { iban: ACME },
  );
  return account.bulkTransfers.edges[0].cursor;
}

/** @returns the id of the one transfer */
async function payTo(payer: Client, description: string): Promise<string> {
  const { bulkTransfer } = await payer.perform(aBulk([aTransfer({ amount: '1', description })]));
  return bulkTransfer.transfers.nodes[0].id;
}

/** Returns the ids of the payer's transfers, oldest first. */
async function idsOf(payer: Client): Promise<string[]> {
  const { account } = await payer.data(
    'query ($iban: String!) { account(iban: $iban) { transfers(last: 50) { nodes { id } } } }',
    { iban: ACME },
  );
  return account.transfers.nodes.map(({ id }: { id: string }) => id).reverse();
}

/** Starts a program that ends, with all its child processes, with the test. @returns its output, line by line */
function start(command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  const child = spawn(command, args, { detached: true, env: { ...process.env, ...env } });
  onTestFinished(() => endGroup(child));
  const lines: string[] = [];
  let rest = '';
  child.stdout.on('data', (chunk: Buffer) => {
    const parts = `${rest}${chunk}`.split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  const complaints: string[] = [];
  child.stderr.on('data', (chunk: Buffer) => complaints.push(String(chunk)));
  return { child, lines, complaints };
}

/** Starts an example that follows the payer's transfers. @returns the program; `renew` gives it its next token */
async function startFollower(name: string, given: { url: string; token: string; after: string }) {
  const { pathOf } = await writeSnippets(DOCUMENT, given.url);
  await writeFile(pathOf('run.mjs'), followerOf(name));
  await writeFile(pathOf('token'), given.token);
  const program = name.endsWith('.sh')
    ? start('bash', [pathOf(name)], { TOKEN_FILE: pathOf('token'), AFTER: `"${given.after}"` })
    : start(process.execPath, [pathOf('run.mjs')], { TOKEN: given.token, AFTER: given.after });
  const renew = async (token: string) => {
    await writeFile(pathOf('token'), token);
    program.child.stdin?.write(token);
  };
  return { ...program, name, renew };
}

async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  process.kill(-child.pid, 'SIGKILL');
  await ended;
}

describe('the examples', () => {
  test('for all clients type-check, and codegen accepts their documents', async () => {
    const { folder, names, pathOf } = await writeSnippets(DOCUMENT);
    const { manifest, possibleTypesFile } = await generateClient([pathOf('apollo.ts')]);
    const { manifest: urqlManifest } = await generateClient([pathOf('urql.ts')]);
    await mkdir(join(folder, 'generated'));
    await copyFile(possibleTypesFile, pathOf('generated/possible-types.ts'));
    await writeFile(pathOf('tsconfig.json'), JSON.stringify(TSCONFIG));

    const checked = await promisify(execFile)('npx', ['tsc', '-p', folder]).catch((error) => error);

    expect(checked.stdout).toBe('');
    expect(names).toEqual([
      'client.ts',
      'apollo.ts',
      'account.tsx',
      'urql.ts',
      'fetch.ts',
      'pay.sh',
      'follow.sh',
    ]);
    expect(Object.values(manifest)).toHaveLength(3);
    expect(Object.values(urqlManifest)).toHaveLength(2);
  });

  test.each(['client.ts', 'urql.ts', 'fetch.ts'])(
    'include %s, which pays once and delivers every transfer once although connections are cut',
    async (name) => {
      const { payer, token, proxy, after, url } = await startPayer();
      const { pathOf } = await writeSnippets(DOCUMENT, url);
      await writeFile(pathOf('run.mjs'), driverOf(name));
      const cut = proxy.cutAt('"idempotencyKey":', 'answered');

      const { lines, complaints } = start(process.execPath, [pathOf('run.mjs')], {
        TOKEN: token,
        AFTER: after,
      });
      const paid = () => lines.filter((line) => line.startsWith('paid'));
      const seen = () =>
        lines.filter((line) => line.startsWith('seen')).map((line) => line.slice(5));
      await cut;
      await expect.poll(() => [paid().length, complaints], POLL).toEqual([1, []]);
      await expect.poll(seen, POLL).toHaveLength(1);
      proxy.cut();
      await payTo(payer, 'While it was cut');
      await payTo(payer, 'And another');
      await expect.poll(seen, POLL).toHaveLength(3);
      await proxy.goDown();
      await payTo(payer, 'While it was down');
      await proxy.goUp();

      await expect.poll(seen, POLL).toHaveLength(4);
      const [, ...expected] = await idsOf(payer);
      expect(seen()).toEqual(expected);
      expect(await payer.balance(ACME)).toBe('99995.00');
    },
  );

  test.each(['client.ts', 'urql.ts', 'fetch.ts'])(
    'include %s, which pays once if a token expires after a lost answer and the payment is sent again',
    async (name) => {
      const { payer, token, proxy, url } = await startPayer();
      const { pathOf } = await writeSnippets(DOCUMENT, url);
      await writeFile(pathOf('run.mjs'), payTwice(name));
      const cut = proxy.cutAt('"idempotencyKey":', 'answered');

      const { lines, complaints } = start(process.execPath, [pathOf('run.mjs')], { TOKEN: token });
      await cut;

      await expect.poll(() => [lines.length, complaints], POLL).toEqual([2, []]);
      // The package requests another token by itself.
      const first = name === 'client.ts' ? 'paid' : 'failed';
      expect(lines).toEqual([first, 'paid']);
      expect(await payer.balance(ACME)).toBe('99998.00');
    },
  );

  test('include pay.sh, which pays once although connections are cut', async () => {
    const { payer, token, proxy, url } = await startPayer();
    const { pathOf } = await writeSnippets(DOCUMENT, url);
    const cut = proxy.cutAt('idempotency-key', 'answered');

    await writeFile(pathOf('token'), token);
    const { stdout } = await promisify(execFile)('bash', [pathOf('pay.sh')], {
      env: { ...process.env, TOKEN_FILE: pathOf('token') },
    });
    await cut;

    expect(JSON.parse(stdout)).toMatchObject({
      data: { performBulkTransfer: { __typename: 'BulkTransferPerformed', replayed: true } },
    });
    expect(await payer.balance(ACME)).toBe('99984.50');
  });

  test('include follow.sh, which prints every transfer once although connections are cut', async () => {
    const { payer, token, proxy, after, url } = await startPayer();
    const { lines } = await startFollower('follow.sh', { url, token, after });

    const expected = [await payTo(payer, 'First')];
    await expect.poll(() => lines, POLL).toHaveLength(1);
    proxy.cut();
    expected.push(await payTo(payer, 'While it was cut'), await payTo(payer, 'And another'));

    await expect.poll(() => lines, POLL).toHaveLength(3);
    const ids = lines.map((line) => JSON.parse(line).data.transferPerformed.transfer.id);
    expect(ids).toEqual(expected);
  });

  test('that follow stop with the error if the server refuses the request', async () => {
    const { payer, token, after, url } = await startPayer();
    const cursors = {
      BAD_USER_INPUT: await foreignCursor(payer),
      UNKNOWN_CURSOR: lostCursor(after),
    };

    for (const [code, cursor] of Object.entries(cursors)) {
      const followers = await Promise.all(
        FOLLOWERS.map((name) => startFollower(name, { url, token, after: cursor })),
      );
      for (const { name, child, complaints } of followers) {
        await expect.poll(() => [name, child.exitCode], POLL).toEqual([name, 1]);
        await expect.poll(() => complaints.join(''), POLL).toContain(code);
      }
    }
  });

  test('that follow stop if their token is refused', async () => {
    const { after, url } = await startPayer();

    const followers = await Promise.all(
      FOLLOWERS.map((name) => startFollower(name, { url, token: 'no-token', after })),
    );

    for (const { name, child, complaints } of followers) {
      await expect.poll(() => [name, child.exitCode], POLL).toEqual([name, 1]);
      await expect.poll(() => complaints.join(''), POLL).toMatch(TOKEN_REFUSED);
    }
  });

  test('that follow stop if their token expires and is not replaced', async () => {
    const server = await startPayer();
    const { payer, after, url } = server;
    const { token } = await shortToken(server);
    const followers = await Promise.all(
      FOLLOWERS.map((name) => startFollower(name, { url, token, after })),
    );
    await payTo(payer, 'First');
    for (const { lines } of followers) await expect.poll(() => lines, POLL).toHaveLength(1);

    for (const { name, child, complaints } of followers) {
      await expect.poll(() => [name, child.exitCode], POLL).toEqual([name, 1]);
      await expect.poll(() => complaints.join(''), POLL).toMatch(TOKEN_REFUSED);
    }
  });

  test('include follow.sh, which continues after it has requested too much', async () => {
    const { payer, token, after, url } = await startPayer({ SUBSCRIPTIONS_PER_CALLER_MAX: '1' });
    const other = await startFollower('follow.sh', { url, token, after });
    await payTo(payer, 'First');
    await expect.poll(() => other.lines, POLL).toHaveLength(1);

    const { lines, complaints } = await startFollower('follow.sh', { url, token, after });
    await expect.poll(() => complaints.join(''), POLL).toContain('TOO_MANY_SUBSCRIPTIONS');
    await endGroup(other.child);

    await expect.poll(() => lines, POLL).toHaveLength(1);
  });

  test('that follow request another token when the first one expires', async () => {
    const server = await startPayer();
    const { payer, newToken, after, url } = server;
    const { token, untilRefused } = await shortToken(server);
    const followers = await Promise.all(
      FOLLOWERS.map((name) => startFollower(name, { url, token, after })),
    );
    await payTo(payer, 'First');
    for (const { lines } of followers) await expect.poll(() => lines, POLL).toHaveLength(1);

    const next = await newToken();
    for (const { renew } of followers) await renew(next);
    await untilRefused();
    await payTo(payer, 'After it expired');

    for (const { name, lines } of followers) {
      await expect.poll(() => [name, lines.length], POLL).toEqual([name, 2]);
    }
  });

  test.runIf(HAS_CHROMIUM)('for React show an error if the token stays wrong', async () => {
    const { server, openPage } = await startReact();
    const { payer } = server;
    const { token, untilRefused } = await shortToken(server);
    const { page, shown, complaints } = await openPage(token);
    await expect.poll(shown, POLL).toContain('Balance: 99999.00');
    await payTo(payer, 'While it was accepted');
    await expect.poll(shown, POLL).toContain('While it was accepted');

    await untilRefused();

    await expect.poll(shown, POLL).toContain('Transfers are not followed: ');
    await page.reload();
    await expect.poll(shown, POLL).toContain('The account cannot be read: ');
    expect(complaints).toEqual([]);
  });

  test.runIf(HAS_CHROMIUM)(
    'for React show the balance, pay once, and continue after a restore, an expired token or a network outage',
    async () => {
      const { server, openPage } = await startReact();
      const { payer, newToken, proxy, after, url } = server;
      // The first answer of the page is from before the restore of the ledger.
      const answerWithLostCursor = async (route: Route) => {
        const response = await route.fetch();
        const body = (await response.text()).replace(after, lostCursor(after));
        await route.fulfill({ response, body });
      };
      const { token, untilRefused } = await shortToken(server);
      const { page, shown, complaints } = await openPage(token, (opened) =>
        opened.route(`${url}/graphql`, answerWithLostCursor, { times: 1 }),
      );
      const listed = () => page.getByRole('listitem').allInnerTexts();
      await expect.poll(shown, POLL).toContain('Balance: 99999.00');
      const next = await newToken();
      await page.evaluate((given) => sessionStorage.setItem('token', given), next);
      await untilRefused();

      const cut = proxy.cutAt('"idempotencyKey":', 'answered');
      await page.getByRole('button', { name: 'Pay' }).click();
      await cut;
      await expect.poll(shown, POLL).toContain('Balance: 99998.00');
      await expect.poll(listed, POLL).toEqual(['From the page']);
      const answered = page.waitForResponse((response) =>
        Boolean(response.request().postData()?.includes('"idempotencyKey":')),
      );
      await page.getByRole('button', { name: 'Pay' }).click();
      await answered;
      proxy.cut();
      await payTo(payer, 'While it was cut');
      await payTo(payer, 'And another');

      await expect.poll(listed, POLL).toEqual(['From the page', 'While it was cut', 'And another']);
      // The balance comes from the events' account: the page sent no further request.
      await expect.poll(shown, POLL).toContain('Balance: 99996.00');
      expect(complaints).toEqual([]);
      expect(await payer.balance(ACME)).toBe('99996.00');
    },
  );
});

const TSCONFIG = {
  extends: '../../web/tsconfig.json',
  // Most front ends have this setting.
  compilerOptions: { types: ['node'], exactOptionalPropertyTypes: false },
  include: ['*.ts', '*.tsx'],
};

const PAYMENT = aBulk([aTransfer({ amount: '1', description: 'From the example' })]);

/** Returns a program that uses an example to pay and to follow, and prints the outcome. */
function driverOf(name: string): string {
  return `
    import { follow, pay } from './${name}';
    follow('${ACME}', (id) => console.log('seen', id), process.env.AFTER);
    console.log('paid', await pay(${JSON.stringify(PAYMENT)}, 'example-1'));`;
}

/**
 * Returns a program that uses an example to pay the same payment twice. The token is right, wrong for one attempt, then
 * right.
 */
function payTwice(name: string): string {
  return `
    const { TOKEN } = process.env;
    const tokens = [TOKEN, 'expired'];
    process.env = Object.defineProperty({ ...process.env }, 'TOKEN', { get: () => tokens.shift() ?? TOKEN });
    const { pay } = await import('./${name}');
    for (let call = 1; call <= 2; call += 1) {
      const answer = await pay(${JSON.stringify(PAYMENT)}, 'example-1').then(() => 'paid', () => 'failed');
      console.log(answer);
    }`;
}

/** The examples that follow an account's transfers, outside a browser. */
const FOLLOWERS = ['client.ts', 'urql.ts', 'fetch.ts', 'follow.sh'];

/** Messages of an example whose token stays wrong: the server's code, or the example's own text. */
const TOKEN_REFUSED = /UNAUTHENTICATED|The server refuses the token/;

/** Returns a program that uses an example to follow, and takes each new token from its standard input. */
function followerOf(name: string): string {
  return `
    import { follow } from './${name}';
    process.stdin.on('data', (token) => { process.env.TOKEN = String(token); });
    await follow('${ACME}', (id) => console.log(id), process.env.AFTER);`;
}

/** Bundles the example for React as an application does. @returns the folder of its files */
async function bundlePage(url: string): Promise<string> {
  const rows = [aTransfer({ amount: '1', description: 'From the page' })];
  const main = `
    import { ApolloProvider } from '@apollo/client/react';
    import { createRoot } from 'react-dom/client';
    import { Account } from './account';
    import { apollo } from './apollo';
    createRoot(document.body).render(
      <ApolloProvider client={apollo}>
        <Account iban="${ACME}" payment={{ key: 'page-1', rows: ${JSON.stringify(rows)} }} />
      </ApolloProvider>,
    );`;
  const { folder, pathOf } = await writeSnippets(DOCUMENT, url);
  const { possibleTypesFile } = await generateClient([pathOf('apollo.ts')]);
  await mkdir(pathOf('generated'));
  await copyFile(possibleTypesFile, pathOf('generated/possible-types.ts'));
  await writeFile(pathOf('tsconfig.json'), JSON.stringify(TSCONFIG));
  await writeFile(pathOf('main.tsx'), main);
  await writeFile(
    pathOf('index.html'),
    '<body></body><script type="module" src="./main.tsx"></script>',
  );
  await build({ root: folder, configFile: false, logLevel: 'error' });
  return pathOf('dist');
}

/** Starts the payer's server, and the example for React on its own origin. */
async function startReact() {
  const pages = await startPages();
  const server = await startPayer({ CORS_ORIGINS: pages.url });
  pages.serve(await bundlePage(server.url));
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
  });
  onTestFinished(() => browser.close());
  /** @param prepare runs before the page loads */
  const openPage = async (token: string, prepare?: (page: Page) => Promise<unknown>) => {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(error.message));
    await prepare?.(page);
    await page.addInitScript((given) => sessionStorage.setItem('token', given), token);
    await page.goto(pages.url);
    return { page, complaints, shown: () => page.locator('body').innerText() };
  };
  return { server, openPage };
}

/** Serves files from another origin than the server's. The server must know that origin before it starts. */
async function startPages() {
  let folder = '';
  const pages = createServer(async ({ url = '/' }, response) => {
    const path = url === '/' ? 'index.html' : url;
    const bytes = await readFile(join(folder, path)).catch(() => undefined);
    response.setHeader('content-type', path.endsWith('.js') ? 'text/javascript' : 'text/html');
    response.writeHead(bytes ? 200 : 404).end(bytes);
  }).listen(0, '127.0.0.1');
  await once(pages, 'listening');
  onTestFinished(() => {
    pages.closeAllConnections();
    pages.close();
  });
  const { port } = pages.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    serve: (from: string) => {
      folder = from;
    },
  };
}
