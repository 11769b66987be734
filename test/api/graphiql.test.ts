import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { exampleOperations } from '../../web/example-operations.js';
import { withLatest } from '../../web/latest-events.js';
import { hasBrowser, openBrowser } from '../support/browser.js';
import { ACME, aBulk, aTransfer } from '../support/builders.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { Receiver } from '../support/receiver.js';
import { startServer } from '../support/server.js';

const hasChromium = hasBrowser('GraphiQL in a browser');

/**
 * Switches to a tab and runs it, as a person does. GraphiQL notices the operation of the tab a little late: until then
 * the button runs the previous one, and is pressed again.
 * @returns the answer of the server
 */
async function runTab(page: Page, operationName: string) {
  await page.locator('.graphiql-tab-button', { hasText: new RegExp(`^${operationName}$`) }).click();
  for (;;) {
    const answered = page.waitForResponse((response) => response.url().endsWith('/graphql'));
    await page.getByRole('button', { name: /^Execute query/ }).click();
    const response = await answered;
    if (response.request().postDataJSON().operationName === operationName) return response.json();
  }
}

/**
 * Presses the button. The caller polls, and so presses it again if it was replaced between the look-up and the click.
 */
async function execute(page: Page): Promise<void> {
  const button = page.getByRole('button', { name: /^Execute query/ });
  await button.click({ timeout: 1_000 }).catch(() => {});
}

describe('GraphiQL', () => {
  test.runIf(hasChromium)(
    'opens offline with the examples, and each gives the answer it is there to show',
    async () => {
      const { url } = await startServer();
      const { page, requests, complaints } = await openBrowser();

      await page.goto(`${url}/graphiql`);
      await page.locator('.graphiql-query-editor .view-line').first().waitFor();

      const examples = exampleOperations(new Date());
      await expect
        .poll(() => page.getByRole('tab').allInnerTexts())
        .toEqual(examples.map(({ operationName }) => operationName));
      for (const tab of await page.getByRole('tab').all()) {
        const { x = 0, width = 0 } = (await tab.boundingBox()) ?? {};
        expect(x + width).toBeLessThanOrEqual(1_280);
      }
      const answers: Record<string, unknown> = {};
      for (const { operationName, query } of examples) {
        if (query.includes('subscription ')) continue;
        answers[operationName] = await runTab(page, operationName);
      }

      expect(answers).toMatchObject({
        Accounts: { data: { accounts: { nodes: [{ organizationName: 'ACME Corp' }, {}, {}] } } },
        BulkTransfer: {
          data: {
            performBulkTransfer: {
              __typename: 'BulkTransferPerformed',
              bulkTransfer: { balanceAfter: { amount: '37748.50' } },
            },
          },
        },
        Validate: {
          data: {
            validateBulkTransfer: {
              totalAmount: { amount: '62251.50' },
              problems: [],
              error: null,
            },
          },
        },
        Resume: { data: { account: { transfers: { edges: [{}, {}, {}] } } } },
        Credit: { data: { creditAccount: { account: { balance: { amount: '38248.50' } } } } },
        Outbox: { data: { outbox: { parked: 0 } } },
        RegisterWebhook: { data: { registerWebhook: { __typename: 'WebhookRegistered' } } },
        TestWebhook: { data: { sendTestEvent: { __typename: 'WebhookNotFound' } } },
        Webhooks: { data: { webhooks: { nodes: [{ status: 'ENABLED' }] } } },
        ImportOrder: {
          data: {
            importOrder: { orders: [{ problemCount: 1, problems: { nodes: [{ line: 3 }] } }] },
          },
        },
        Orders: { data: { orders: { nodes: [{ status: 'DRAFT', fileName: 'payroll.csv' }] } } },
        CorrectOrder: { data: { replaceOrderRow: { __typename: 'OrderNotFound' } } },
        SubmitOrder: { data: { submitOrder: { __typename: 'OrderNotFound' } } },
        Export: { data: { createExport: { __typename: 'ExportReady' } } },
        WrongRows: { data: { performBulkTransfer: { __typename: 'InvalidBulkTransfer' } } },
        Replay: { data: { performBulkTransfer: { replayed: true } } },
        Statement: { data: { account: { statement: { closingBalance: { amount: '37748.50' } } } } },
      });
      await page
        .getByRole('region', { name: 'Result Window' })
        .getByText('parked')
        .first()
        .waitFor();
      expect(complaints).toEqual([]);
      expect(requests.filter((request) => !request.startsWith(url))).toEqual([]);
    },
  );

  test.runIf(hasChromium).each(['BalanceUpdated', 'TransferPerformed', 'BulkTransferPerformed'])(
    'the tab %s ticks',
    async (operationName) => {
      const { client, url } = await startServer();
      const { page, complaints } = await openBrowser();
      await page.goto(`${url}/graphiql`);
      await page.locator('.graphiql-query-editor .view-line').first().waitFor();
      const tab = page.locator('.graphiql-tab-button', {
        hasText: new RegExp(`^${operationName}$`),
      });
      await tab.click();
      const shown = () => page.getByRole('region', { name: 'Result Window' }).innerText();

      // GraphiQL notices the operation of the tab a little late: a button that is pressed too early runs another one.
      await expect
        .poll(
          async () => {
            const stop = page.getByRole('button', { name: /^Stop query/ });
            if (!(await stop.isVisible())) {
              await execute(page);
            }
            await client.perform(aBulk([aTransfer({ amount: '1' })]));
            return shown();
          },
          { timeout: 20_000, interval: 300 },
        )
        .toContain(`${operationName[0]?.toLowerCase()}${operationName.slice(1)}`);
      const before = await shown();
      await client.perform(aBulk([aTransfer({ amount: '2' })]));
      await expect.poll(shown).not.toBe(before);
      await expect.poll(shown).toContain('before');
      expect(complaints).toEqual([]);
    },
  );

  test.runIf(hasChromium)('asks for a token if the server requires one, and sends it', async () => {
    const provider = await startIdentityProvider();
    const { client, url } = await startServer(provider.env);
    const operator = await provider.token({ roles: ['operator'] });
    const { account } = await client
      .as(operator)
      .data(`{ account(iban: "${ACME}") { organizationId } }`);
    const token = await provider.token({ org: account.organizationId, roles: ['initiator'] });
    const { page } = await openBrowser();
    await page.goto(`${url}/graphiql`);
    const banner = page.getByRole('alert').filter({ hasText: 'token' });
    await banner.getByText('This server requires authentication.').waitFor();
    await page.getByLabel('Token or API key').fill('no token');
    await page.getByLabel('Token or API key').press('Enter');
    await banner.getByText('This token is not valid').waitFor();

    await page.getByLabel('Token or API key').fill(token);
    await page.getByLabel('Token or API key').press('Enter');
    await banner.waitFor({ state: 'detached' });

    await page.locator('.graphiql-query-editor .view-line').first().waitFor();
    expect(await runTab(page, 'Accounts')).toMatchObject({
      data: { accounts: { nodes: [{ organizationName: 'ACME Corp' }] } },
    });
    await page.locator('.graphiql-tab-button', { hasText: /^BalanceUpdated$/ }).click();
    const shown = () => page.getByRole('region', { name: 'Result Window' }).innerText();
    await expect
      .poll(
        async () => {
          const stop = page.getByRole('button', { name: /^Stop query/ });
          if (!(await stop.isVisible())) {
            await execute(page);
          }
          return shown();
        },
        { timeout: 20_000, interval: 300 },
      )
      .toContain('balanceUpdated');
  });

  test('shows an event with the nineteen before it, newest first', async () => {
    async function* events() {
      for (let data = 1; data <= 30; data += 1) yield { data };
    }
    const shown: unknown[] = [];
    for await (const event of withLatest(events())) shown.push(event);

    expect(shown.at(0)).toEqual({ data: 1 });
    expect(shown.at(-1)).toEqual({
      data: 30,
      before: Array.from({ length: 19 }, (_, index) => 29 - index),
    });
  });

  test('ends a stopped stream at once, even while it waits for an event', async () => {
    let isEnded = false;
    const silent = {
      next: () => new Promise<never>(() => {}),
      return: async () => {
        isEnded = true;
        return { done: true as const, value: undefined };
      },
    };
    const stream = withLatest({ [Symbol.asyncIterator]: () => silent });
    void stream.next();

    await stream.return?.();

    expect(isEnded).toBe(true);
  });

  test('runs every example without an error', async () => {
    const { client } = await startServer();

    for (const { query, variables } of exampleOperations(new Date())) {
      if (query.includes('subscription ')) continue;
      expect(await client.send(query, variables ?? {})).toMatchObject({ status: 200 });
      expect((await client.send(query, variables ?? {})).errors).toBeUndefined();
    }
  });

  test('registers a webhook, sends it a test event, and lists the delivery by the examples', async () => {
    const { client } = await startServer();
    const receiver = await Receiver.start();
    const run = (name: string, variables: object) => {
      const example = exampleOperations(new Date()).find(
        ({ operationName }) => operationName === name,
      );
      return client.data(example?.query ?? '', { ...example?.variables, ...variables });
    };
    const input = { url: receiver.url, events: ['TRANSFER_PERFORMED'], accountIbans: [ACME] };

    const { registerWebhook } = await run('RegisterWebhook', { input });
    await run('TestWebhook', { webhookId: registerWebhook.webhook.id });

    await expect
      .poll(async () => (await run('Webhooks', {})).webhooks.nodes)
      .toMatchObject([
        {
          url: receiver.url,
          deliveries: {
            nodes: [{ event: null, status: 'DELIVERED', attempts: [{ httpStatus: 204 }] }],
          },
        },
      ]);
    const [call] = receiver.calls;
    if (!call) throw new Error('The receiver was not called');
    receiver.verify(call, registerWebhook.secret);
  });
});
