/** Bulk transfer orders as a front end sees them. */
import { expect } from 'vitest';
import { ACME } from './builders.js';
import type { Client } from './client.js';

/** What a test asks of an order, and every other answer of its mutations. */
const ANSWER = `__typename
  ... on BulkTransferOrder { ...Facts }
  ... on InvalidInput { problems { index field code message } }
  ... on OrderStateConflict { message order { id status } }
  ... on UserError { code }`;

const FACTS = `fragment Facts on BulkTransferOrder {
  id name status source rowCount problemCount createdBy submittedBy
  totalAmount { amount currency } balanceAfter { amount }
  submittedAt performedAt expiresAt
  failure { __typename code message
    ... on InvalidBulkTransfer { problemCount problems { index field code } }
    ... on InsufficientFunds { shortfall { amount } } }
  bulkTransfers { id idempotencyKey transferCount totalAmount { amount } }
}`;

/** Sends a mutation that answers an order. */
async function mutate(client: Client, head: string, field: string, variables: object) {
  const document = `mutation ${head} { answer: ${field} { ${ANSWER} } } ${FACTS}`;
  const { answer } = await client.data(document, { ...variables });
  return answer;
}

export const createOrder = (client: Client, input: object = {}) =>
  mutate(client, '($input: CreateOrderInput!)', 'createOrder(input: $input)', {
    input: { organizationIban: ACME, ...input },
  });

export const addOrderRows = (client: Client, id: string, rows: readonly object[], chunk = 0) =>
  mutate(
    client,
    '($id: ID!, $chunk: Int!, $rows: [CreditTransferInput!]!)',
    'addOrderRows(orderId: $id, chunk: $chunk, rows: $rows)',
    { id, chunk, rows },
  );

export const replaceOrderRow = (client: Client, id: string, row: number, replacement: object) =>
  mutate(
    client,
    '($id: ID!, $row: Int!, $with: CreditTransferInput!)',
    'replaceOrderRow(orderId: $id, row: $row, with: $with)',
    { id, row, with: replacement },
  );

export const removeOrderRows = (client: Client, id: string, rows: readonly number[]) =>
  mutate(client, '($id: ID!, $rows: [Int!]!)', 'removeOrderRows(orderId: $id, rows: $rows)', {
    id,
    rows,
  });

export const submitOrder = (client: Client, id: string, idempotencyKey?: string) =>
  mutate(client, '($id: ID!, $key: String)', 'submitOrder(id: $id, idempotencyKey: $key)', {
    id,
    key: idempotencyKey,
  });

export const cancelOrder = (client: Client, id: string) =>
  mutate(client, '($id: ID!)', 'cancelOrder(id: $id)', { id });

export const duplicateOrder = (client: Client, id: string) =>
  mutate(client, '($id: ID!)', 'duplicateOrder(id: $id)', { id });

/** Creates a draft with rows. */
export async function anOrder(client: Client, rows: readonly object[], input: object = {}) {
  const { id } = await createOrder(client, input);
  return addOrderRows(client, id, rows);
}

export async function orderOf(client: Client, id: string) {
  const { order } = await client.data(`query ($id: ID!) { order(id: $id) { ...Facts } } ${FACTS}`, {
    id,
  });
  return order;
}

/** Waits until an order is in a state. */
export async function untilOrderIs(client: Client, id: string, status: string) {
  await expect
    .poll(async () => (await orderOf(client, id))?.status, { timeout: 60_000 })
    .toBe(status);
  return orderOf(client, id);
}
