/** The part of Virement's GraphQL contract that the bench sends and reads, for the peers that implement it by resolvers. */
import { BulkRejectedError } from '../bulk-rules.ts';
export const TYPE_DEFS = /* GraphQL */ `
  type Query {
    account(iban: String!): Account
  }
  type Mutation {
    performBulkTransfer(input: PerformBulkTransferInput!): PerformBulkTransferResult!
  }
  input PerformBulkTransferInput {
    organizationIban: String!
    idempotencyKey: String
    creditTransfers: [CreditTransferInput!]!
  }
  input CreditTransferInput {
    amount: String!
    counterpartyName: String!
    counterpartyIban: String!
    description: String!
  }
  union PerformBulkTransferResult = BulkTransferPerformed | RefusedBulkTransfer
  interface UserError {
    code: String!
    message: String!
  }
  type RefusedBulkTransfer implements UserError {
    code: String!
    message: String!
  }
  type BulkTransferPerformed {
    bulkTransfer: BulkTransfer!
  }
  type Account {
    iban: String!
  }
  type Money {
    amount: String!
  }
  type BulkTransfer {
    id: ID!
    transferCount: Int!
    totalAmount: Money!
    balanceAfter: Money!
    transfers(first: Int = 20): TransferConnection!
  }
  type TransferConnection {
    nodes: [Transfer!]!
  }
  type Transfer {
    id: ID!
    index: Int!
    amount: Money!
    counterpartyName: String!
    counterpartyIban: String!
    description: String!
  }
`;

/** Answers performBulkTransfer: the bulk, or why it was refused. */
export async function answerOf(performing: Promise<object>): Promise<object> {
  try {
    return { __typename: 'BulkTransferPerformed', bulkTransfer: await performing };
  } catch (error) {
    if (!(error instanceof BulkRejectedError)) throw error;
    return { __typename: 'RefusedBulkTransfer', code: 'REFUSED', message: error.message };
  }
}
