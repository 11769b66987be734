import { vi } from 'vitest';
import { composeApplication } from '../../src/composition-root.js';
import { loadConfig } from '../../src/config.js';
import { PROGRAM } from '../../src/domain/caller.js';
import { PAYLOAD_BYTES_MAX, PAYLOAD_CUT } from '../../src/domain/dead-letter.js';
import { makeNewId } from '../../src/domain/id.js';
import type { Database } from '../../src/infrastructure/database/dialect.js';
import { MikroOrmDeadLetters } from '../../src/infrastructure/dead-letters/dead-letters.js';
import { NO_PUBLISHER, Outbox } from '../../src/infrastructure/outbox/outbox.js';
import { ACME, aBulk, aTransfer, GLOBEX, INITECH, ibanOf, transfersOf } from './builders.js';
import type { Client } from './client.js';
import { makeOrders } from './full-orders.js';
import { changeWebhooks, registerWebhooks, startReceiver } from './full-webhooks.js';
import { startIdentityProvider } from './identity-provider.js';
import { accountsBehind, startServerOn, type TestServer } from './server.js';
import type { TestDatabase } from './test-database.js';

const TRACEPARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';

/** Returns a row with every optional value. */
const fullTransfer = (endToEndId: string) =>
  aTransfer({ amount: '14.5', counterpartyBic: 'DEUTDEFF500', endToEndId });

/** Creates rows of every kind through the front door, except unpublished messages. */
export async function fillLedger(database: TestDatabase): Promise<void> {
  const server = await startServerOn(database);
  const receiver = await startReceiver();
  await makeOrders(server.client);
  const webhooks = await registerWebhooks(server.client, receiver);
  await performBulks(server.client);
  await creditAccounts(server.client);
  const secret = await administer(server.client);
  await untilAllPublished(server);
  await changeWebhooks(server, webhooks);
  await server.close();
  await receiver.stop();
  const provider = await startIdentityProvider();
  const guarded = await startServerOn(database, provider.env);
  await guarded.client.as(secret).perform(aBulk([aTransfer()]));
  const teller = await provider.token({ sub: 'teller', roles: ['operator'] });
  await guarded.client.as(teller).data(CREDIT, { input: aCredit() });
  await untilAllPublished(guarded);
  await guarded.close();
}

/** Waits outside a test, where expect cannot poll. */
async function untilAllPublished({ database }: TestServer): Promise<void> {
  const outbox = new Outbox(database.orm);
  const isQuiet = async () =>
    (await outbox.counts()).due === 0 && (await accountsBehind(database)).length === 0;
  await vi.waitUntil(isQuiet, { timeout: 120_000 });
}

async function performBulks(client: Client): Promise<void> {
  const keyed = aBulk([fullTransfer('1'), fullTransfer('2'), ...transfersOf(2)], {
    idempotencyKey: 'a key',
  });
  await client.perform(keyed, { traceparent: TRACEPARENT });
  await client.perform(keyed);
  await client.perform(aBulk([fullTransfer('1'), fullTransfer('2')]));
  await client.perform(aBulk([aTransfer({ counterpartyIban: GLOBEX, description: 'One' })]));
  await client.perform(
    aBulk([
      aTransfer({ counterpartyIban: GLOBEX, description: 'One of two' }),
      aTransfer({ counterpartyIban: GLOBEX, description: 'Two of two', endToEndId: 'PAY-2' }),
    ]),
  );
  await client.perform(aBulk([aTransfer({ amount: '999999999' })]));
}

const CREDIT =
  'mutation ($input: CreditAccountInput!) { creditAccount(input: $input) { __typename } }';

const aCredit = (overrides: object = {}) => ({
  iban: ACME,
  amount: '20',
  description: 'From outside',
  ...overrides,
});

async function creditAccounts(client: Client): Promise<void> {
  const keyed = { input: aCredit({ idempotencyKey: 'a key' }) };
  await client.data(CREDIT, keyed);
  await client.data(CREDIT, keyed);
  await client.data(CREDIT, { input: aCredit() });
}

async function organizationOf(client: Client, iban: string): Promise<string> {
  const { account } = await client.data(`{ account(iban: "${iban}") { organizationId } }`);
  return account.organizationId;
}

/** Creates and revokes API keys. @returns the secret of a key of ACME's */
async function administer(client: Client): Promise<string> {
  const organizationId = await organizationOf(client, ACME);
  const open = 'mutation ($input: OpenAccountInput!) { openAccount(input: $input) { __typename } }';
  for (const openingBalance of ['0', '10']) {
    const iban = ibanOf(1_000 + Number(openingBalance));
    const input = { organizationId, organizationName: 'ACME Corp', iban, bic: 'ABNANL2A' };
    await client.data(open, { input: { ...input, openingBalance } });
  }
  const create = `mutation ($input: CreateApiKeyInput!) { createApiKey(input: $input) {
    ... on ApiKeyCreated { secret apiKey { prefix } } } }`;
  const input = { name: 'payroll', organizationIds: [organizationId], roles: ['INITIATOR'] };
  const { createApiKey: kept } = await client.data(create, { input });
  const { createApiKey: revoked } = await client.data(create, { input });
  const ofGlobex = { ...input, organizationIds: [await organizationOf(client, GLOBEX)] };
  await client.data(create, { input: ofGlobex });
  for (const prefix of [revoked.apiKey.prefix, 'none']) {
    await client.data(`mutation { revokeApiKey(prefix: "${prefix}") { prefix } }`);
  }
  await client.data(`mutation { retryOutboxMessage(id: "${UNKNOWN_ID}") }`);
  return kept.secret;
}

const UNKNOWN_ID = '01900000-0000-7000-8000-000000000000';

const LEASE_MS = 60_000;

/** Creates messages that wait, failed once, were parked, and were put back. */
export async function fillOutbox(opened: Database): Promise<void> {
  const config = loadConfig({ DATABASE_URL: 'sqlite::memory:', IBAN_CHECK: 'format' });
  const { performBulkTransfer } = composeApplication(config, opened, NO_PUBLISHER);
  for (let count = 0; count < 5; count += 1) {
    const row = {
      amount: '1',
      counterpartyName: 'Bip Bip',
      counterpartyIban: ACME,
      description: '',
    };
    await performBulkTransfer({ organizationIban: INITECH, creditTransfers: [row] }, PROGRAM);
  }
  const outbox = new Outbox(opened.orm);
  const at = new Date();
  const lease = new Date(at.getTime() + LEASE_MS);
  const held = { holder: '01900000-0000-7000-8000-0000000000aa', end: lease };
  const [postponed, parked, retried, published] = await outbox.claim(at, 4, held);
  if (!postponed || !parked || !retried || !published) throw new Error('Too few messages');
  const failure = { attempts: 1, holder: held.holder, error: 'No route' };
  await outbox.postpone(postponed.id, { ...failure, dueAt: lease });
  await outbox.park(parked.id, { ...failure, at });
  await outbox.park(retried.id, { ...failure, at });
  await outbox.retry(retried.id, PROGRAM);
  await outbox.markPublished([published.id], new Date());
}

/** Creates dead letters that are whole and cut, and the audit entries of some that were sent and discarded. */
export async function fillDeadLetters(opened: Database): Promise<void> {
  const deadLetters = new MikroOrmDeadLetters(
    opened.orm,
    () => new Date(),
    makeNewId(() => new Date()),
  );
  const at = new Date();
  const aLetter = {
    consumer: 'billing',
    type: 'virement.account.credited.v1',
    reason: 'PERMANENT',
    attempts: 1,
    lastError: 'No such invoice',
    firstFailedAt: at,
    lastFailedAt: at,
    receivedAt: at,
    payload: Buffer.from('{}'),
  };
  for (const messageId of ['kept', 'sent', 'discarded']) {
    await deadLetters.add({ ...aLetter, messageId });
  }
  const payload = Buffer.alloc(PAYLOAD_BYTES_MAX);
  const reason = `${aLetter.reason}${PAYLOAD_CUT}`;
  await deadLetters.add({ ...aLetter, messageId: 'cut', reason, payload });
  const { nodes } = await deadLetters.list(undefined, { size: 10, fromEnd: false });
  const named = (messageId: string) => {
    const letter = nodes.find((each) => each.messageId === messageId);
    if (!letter) throw new Error(`There is no dead letter ${messageId}`);
    return letter;
  };
  await deadLetters.deleteSent(named('sent'), PROGRAM);
  await deadLetters.discard([named('discarded').id, UNKNOWN_ID], 'Test data', PROGRAM);
}
