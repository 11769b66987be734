import { expect, test } from 'vitest';
import { ACME, aBulk, aTransfer, GLOBEX, INITECH, ibanOf } from '../support/builders.js';
import type { Client } from '../support/client.js';
import { startIdentityProvider } from '../support/identity-provider.js';
import { startServer } from '../support/server.js';
import { type Subscriber, subscribe } from '../support/subscriber.js';

const BALANCES = 'subscription { balanceUpdated { balance { amount } sequence account { iban } } }';

/** Returns the last balance of each account that a subscriber received. */
function balancesOf({ events }: Subscriber): Record<string, string> {
  return Object.fromEntries(events.map(({ account, balance }) => [account.iban, balance.amount]));
}

const OPEN = `mutation ($input: OpenAccountInput!) { openAccount(input: $input) {
  __typename ... on UserError { code message } } }`;

async function openAccount(client: Client, iban: string, overrides: object = {}): Promise<void> {
  const input = { organizationName: 'ACME Corp', iban, bic: 'ABNANL2A', ...overrides };
  expect((await client.data(OPEN, { input })).openAccount.__typename).toBe('AccountOpened');
}

test('a subscription without an IBAN sends all accounts at once, then each that changes', async () => {
  const { client, url } = await startServer();
  const subscriber = subscribe(url, BALANCES);
  await expect.poll(() => Object.keys(balancesOf(subscriber))).toEqual([ACME, GLOBEX, INITECH]);
  const before = balancesOf(subscriber);
  const eventsBefore = subscriber.events.length;

  await client.perform(aBulk([aTransfer({ amount: '7', counterpartyIban: GLOBEX })]));

  await expect.poll(() => subscriber.events.length).toBe(eventsBefore + 2);
  expect(balancesOf(subscriber)).toEqual({
    [ACME]: await client.balance(ACME),
    [GLOBEX]: await client.balance(GLOBEX),
    [INITECH]: before[INITECH],
  });
});

test('an account that is opened later joins the stream, and no change of any account is missed', async () => {
  const { client, url } = await startServer();
  const subscriber = subscribe(url, BALANCES);
  await expect.poll(() => subscriber.events.length).toBe(3);
  const opened = Array.from({ length: 12 }, (_, index) => ibanOf(index));

  for (const iban of opened) await openAccount(client, iban);
  for (let bulk = 0; bulk < 20; bulk += 1) {
    await client.perform(aBulk(opened.map((counterpartyIban) => aTransfer({ counterpartyIban }))));
  }

  const expected = Object.fromEntries(
    await Promise.all(
      [ACME, GLOBEX, INITECH, ...opened].map(async (iban) => [iban, await client.balance(iban)]),
    ),
  );
  await expect.poll(() => balancesOf(subscriber)).toEqual(expected);
  await client.perform(aBulk([aTransfer({ counterpartyIban: opened[3] })]));
  await expect.poll(() => balancesOf(subscriber)[opened[3] ?? '']).toBe('21.00');
  // Nothing is sent twice.
  const sent = subscriber.events.map(({ account, sequence }) => `${account.iban} ${sequence}`);
  expect(new Set(sent).size).toBe(sent.length);
});

test('a caller receives only the balances of its own organizations', async () => {
  const provider = await startIdentityProvider();
  const { client, url } = await startServer(provider.env);
  const operator = await provider.token({ roles: ['operator'] });
  const bank = client.as(operator);
  const { account } = await bank.data(`{ account(iban: "${ACME}") { organizationId } }`);
  const org = account.organizationId;
  const acme = await provider.token({ org, roles: ['viewer', 'initiator'] });
  const ofAcme = subscribe(url, BALANCES, {}, acme);
  const ofBank = subscribe(url, BALANCES, {}, operator);
  const ofNobody = subscribe(url, BALANCES, {}, await provider.token({ roles: ['monitor'] }));
  await expect.poll(() => [ofAcme.events.length, ofBank.events.length]).toEqual([1, 3]);

  await client
    .as(acme)
    .perform(
      aBulk([aTransfer({ counterpartyIban: GLOBEX }), aTransfer({ counterpartyIban: INITECH })]),
    );

  await expect.poll(() => ofBank.events.length).toBe(6);
  expect(Object.keys(balancesOf(ofAcme))).toEqual([ACME]);
  await expect.poll(() => ofAcme.events.length).toBe(2);
  expect([...ofNobody.events, ...ofNobody.errors]).toEqual([]);
});

test('a subscription to more than 1,000 accounts is refused, and omits none silently', async () => {
  const { client, url } = await startServer();
  const ibans = Array.from({ length: 997 }, (_, index) => ibanOf(index));
  // The number of simultaneous requests is one that a slow machine handles within LOCK_TIMEOUT_MS.
  for (let start = 0; start < ibans.length; start += 100) {
    await Promise.all(ibans.slice(start, start + 100).map((iban) => openAccount(client, iban)));
  }
  const all = subscribe(url, BALANCES);
  await expect.poll(() => Object.keys(balancesOf(all)).length).toBe(1_000);

  await openAccount(client, ibanOf(2_000));

  const refused = subscribe(url, BALANCES);
  await expect
    .poll(() => refused.errors)
    .toMatchObject([{ extensions: { code: 'TOO_MANY_ACCOUNTS', limit: 1_000 } }]);
});
