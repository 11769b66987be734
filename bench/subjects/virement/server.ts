/** Our server, as its operator starts it and as its clients speak to it. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ACCOUNTS, BIC, OPENING_BALANCE } from '../../harness/bulk-requests.ts';
import type { LoadJob } from '../../harness/load-client.ts';
import { DIST } from '../../harness/paths.ts';
import { ServerProcess } from '../../harness/server-process.ts';
import type { Work } from '../subject.ts';
import { authorization, ownOrganization, TRUST } from './access-token.ts';

const OUTPUT_BYTES_MAX = 16 * 1_024 * 1_024;
const DRAIN_MAX_MS = 120_000;
const DRAIN_POLL_MS = 100;

const TRANSFERS = `transfers(first: 100) {
  nodes { id index amount { amount } counterpartyName counterpartyIban description }
}`;

const performing = (transfers: string) => `
  mutation ($input: PerformBulkTransferInput!) {
    performBulkTransfer(input: $input) {
      __typename
      ... on BulkTransferPerformed {
        bulkTransfer {
          id transferCount totalAmount { amount } balanceAfter { amount } ${transfers}
        }
      }
      ... on UserError { code message }
    }
  }`;

const OPEN_ACCOUNT = `
  mutation ($input: OpenAccountInput!) {
    openAccount(input: $input) {
      ... on AccountOpened { account { organizationId } }
      ... on UserError { message }
    }
  }`;

const PAGE = `
  query ($iban: String!) {
    account(iban: $iban) {
      transfers(first: 50) {
        pageInfo { hasNextPage endCursor }
        nodes { id index amount { amount } counterpartyName counterpartyIban description createdAt }
      }
    }
  }`;

/** Runs a command of ours to its end. @throws Error with its output where it fails */
export async function runCommand(name: 'migrate' | 'verify', databaseUrl: string): Promise<void> {
  const env = { PATH: process.env.PATH, TZ: 'UTC', DATABASE_URL: databaseUrl };
  try {
    await promisify(execFile)(process.execPath, [join(DIST, 'commands', `${name}.js`)], {
      env,
      maxBuffer: OUTPUT_BYTES_MAX,
    });
  } catch (error) {
    const output = error instanceof Error && 'stdout' in error ? error.stdout : '';
    throw new Error(`${name} failed on ${databaseUrl}:\n${output}`, { cause: error });
  }
}

/** Recounts every invariant of a ledger. @throws Error that lists what is violated */
export function verifyLedger(databaseUrl: string): Promise<void> {
  return runCommand('verify', databaseUrl);
}

export function startVirement(
  databaseUrl: string,
  nodeOptions: readonly string[] = [],
  more: Readonly<Record<string, string>> = {},
): Promise<ServerProcess> {
  const env = { DATABASE_URL: databaseUrl, SEED_DEMO: 'false', ...TRUST, ...more };
  return ServerProcess.start(join(DIST, 'main.js'), { env, nodeOptions });
}

/** Makes the tables and opens every account of the bench, through the front door. */
export async function prepareLedger(databaseUrl: string): Promise<void> {
  await runCommand('migrate', databaseUrl);
  const server = await startVirement(databaseUrl);
  try {
    const [first, ...others] = ACCOUNTS;
    const organizationId = await openAccount(server.origin, first ?? '');
    ownOrganization(organizationId);
    await Promise.all(others.map((iban) => openAccount(server.origin, iban, organizationId)));
    await untilPublished(server.origin);
  } finally {
    await server.stop();
  }
}

/** @returns whose account it is: of the organization given, or of a new one */
async function openAccount(origin: string, iban: string, organizationId?: string): Promise<string> {
  const organizationName = 'Company';
  const input = {
    organizationId,
    organizationName,
    iban,
    bic: BIC,
    openingBalance: OPENING_BALANCE,
  };
  const answer = await ask(origin, OPEN_ACCOUNT, { input });
  const { account } = JSON.parse(answer).data?.openAccount ?? {};
  if (!account) throw new Error(answer);
  return account.organizationId;
}

/** Sends a document, and gives back the answer's text. */
export async function ask(origin: string, query: string, variables: object = {}): Promise<string> {
  const response = await fetch(`${origin}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: authorization() },
    body: JSON.stringify({ query, variables }),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(text);
  return text;
}

/** Waits until the server has told everything: what it still publishes would count in the next measure. */
export async function untilPublished(origin: string): Promise<void> {
  const deadline = Date.now() + DRAIN_MAX_MS;
  while (!(await ask(origin, '{ outbox { due } }')).includes('"due":0')) {
    if (Date.now() > deadline) throw new Error('The outbox does not become empty');
    await sleep(DRAIN_POLL_MS);
  }
}

/** Bulks, as the load client sends them to us and to every peer with our contract. */
export function bulkJob(origin: string, { orders, loop, ...work }: Work): LoadJob {
  const query = performing(work.answersTransfers ? TRANSFERS : '');
  return {
    origin,
    path: '/graphql',
    bodies: orders.map((input) => JSON.stringify({ query, variables: { input } })),
    expected: `"transferCount":${orders[0]?.creditTransfers.length}`,
    hasKeys: work.hasKeys ?? false,
    headers: { authorization: authorization() },
    loop,
  };
}

/** The newest 50 transfers of an account, time after time. */
export function pageJob(origin: string, iban: string, loop: Work['loop']): LoadJob {
  return {
    origin,
    path: '/graphql',
    bodies: [JSON.stringify({ query: PAGE, variables: { iban } })],
    expected: '"hasNextPage":true',
    hasKeys: false,
    headers: { authorization: authorization() },
    loop,
  };
}
