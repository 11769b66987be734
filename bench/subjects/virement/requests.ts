/** The requests to the server under test, and to the peers that have its GraphQL contract. */
import type { BulkRequest } from '../../harness/bulk-requests.ts';
import type { LoadJob } from '../../harness/load-client.ts';
import type { LoadLoop } from '../../harness/load-loop.ts';
import type { Workload } from '../subject.ts';
import { authorization } from './access-token.ts';

export const GRAPHQL_PATH = '/graphql';

const TRANSFERS = `transfers(first: 100) {
  nodes { id index amount { amount } counterpartyName counterpartyIban description }
}`;

const performing = (selected: string) => `
  mutation ($input: PerformBulkTransferInput!) {
    performBulkTransfer(input: $input) {
      __typename
      ${selected}
      ... on UserError { code message }
    }
  }`;

const performingWithResult = (transfers: string) =>
  performing(`... on BulkTransferPerformed {
        bulkTransfer {
          id transferCount totalAmount { amount } balanceAfter { amount } ${transfers}
        }
      }`);

const PAGE = `
  query ($iban: String!) {
    account(iban: $iban) {
      transfers(first: 50) {
        pageInfo { hasNextPage endCursor }
        nodes { id index amount { amount } counterpartyName counterpartyIban description createdAt }
      }
    }
  }`;

/** The type of an answer to a performed bulk. */
export const PERFORMED = 'BulkTransferPerformed';

/** Performs a bulk, and asks for nothing but the type of the answer. */
export const PERFORM = performing('');

/** Returns the body of a request that performs a bulk, with PERFORM. */
export function performBody(input: BulkRequest): string {
  return JSON.stringify({ query: PERFORM, variables: { input } });
}

/** Returns a job that performs bulks and asks for the result of each. */
export function bulkJob(origin: string, workload: Workload): LoadJob {
  const { bulks, loop, returnsTransfers, hasKeys = false } = workload;
  const query = performingWithResult(returnsTransfers ? TRANSFERS : '');
  return {
    origin,
    path: GRAPHQL_PATH,
    bodies: bulks.map((input) => JSON.stringify({ query, variables: { input } })),
    expected: `"transferCount":${bulks[0]?.creditTransfers.length}`,
    hasKeys,
    headers: { authorization: authorization() },
    loop,
  };
}

/** The query for the newest 50 transfers of an account, with its variables. */
export function pageRequest(iban: string): { query: string; variables: object } {
  return { query: PAGE, variables: { iban } };
}

/** Returns a job that reads the newest 50 transfers of an account again and again. */
export function pageJob(origin: string, iban: string, loop: LoadLoop): LoadJob {
  return {
    origin,
    path: GRAPHQL_PATH,
    bodies: [JSON.stringify(pageRequest(iban))],
    expected: '"hasNextPage":true',
    headers: { authorization: authorization() },
    loop,
  };
}
