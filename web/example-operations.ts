// The operations that GraphiQL opens with, in the order of its tabs. They are plain values without an import, so that a
// test can run every one of them against a server. They use the demo company that the seed creates.

/** One GraphQL operation with the variables it is shown and run with. */
export interface ExampleOperation {
  /** The operation's name in the document, which GraphiQL shows as the title of the tab. */
  readonly operationName: string;
  readonly query: string;
  /** The JSON object of the variables; null where the operation is run without any. */
  readonly variables: Readonly<Record<string, unknown>> | null;
}

const debtor = {
  organizationIban: 'FR10474608000002006107XXXXX',
  organizationName: 'ACME Corp',
  organizationBic: 'OIVUSCLQXXX',
};

// No variables: GraphiQL does not put the first tab's variables into its editor.
const accounts: ExampleOperation = {
  operationName: 'Accounts',
  query: /* GraphQL */ `# Your accounts and their balances, page by page.
# For the next page, put its endCursor below, in
# Variables: { "after": "…" }

query Accounts($first: Int = 20, $after: Cursor) {
  accounts(first: $first, after: $after) {
    nodes {
      organizationName
      iban
      bic
      currency
      balance {
        amount
        currency
      }
      sequence
      createdAt
    }
    pageInfo {
      hasNextPage
      endCursor
    }
  }
}
`,
  variables: null,
};

// The key is fixed because the content is fixed. The second run answers `replayed: true` and debits the demo account no
// more. A change of the content needs a new key.
const bulkTransferVariables = {
  input: {
    idempotencyKey: 'acme-suppliers-1',
    ...debtor,
    creditTransfers: [
      {
        amount: '14.5',
        currency: 'EUR',
        counterpartyName: 'Muster Logistik GmbH',
        counterpartyIban: 'DE89370400440532013000',
        counterpartyBic: 'COBADEFFXXX',
        description: 'Invoice 4410',
        endToEndId: 'INV-4410',
      },
      {
        amount: '61238',
        currency: 'EUR',
        counterpartyName: 'Dupont Frères SARL',
        counterpartyIban: 'FR1420041010050500013M02606',
        description: 'Packaging line, order 7781',
        endToEndId: 'ORDER-7781',
      },
      {
        amount: '999',
        currency: 'EUR',
        counterpartyName: 'Voorbeeld Software B.V.',
        counterpartyIban: 'NL91ABNA0417164300',
        counterpartyBic: 'ABNANL2A',
        description: 'Licences',
      },
    ],
  },
};

const bulkTransfer: ExampleOperation = {
  operationName: 'BulkTransfer',
  query: /* GraphQL */ `# Records all transfers and the debit, or nothing.
# The transfers are below, in Variables. To send
# them once more, change the idempotencyKey.

mutation BulkTransfer($input: PerformBulkTransferInput!) {
  performBulkTransfer(input: $input) {
    __typename
    ... on BulkTransferPerformed {
      replayed
      bulkTransfer {
        id
        status
        transferCount
        totalAmount {
          amount
          currency
        }
        balanceAfter {
          amount
          currency
        }
        transfers(first: 10) {
          nodes {
            index
            counterpartyName
            amount {
              amount
            }
          }
        }
      }
    }
    ... on InvalidBulkTransfer {
      problemCount
      problems {
        index
        field
        code
        message
      }
    }
    ... on InsufficientFunds {
      balance {
        amount
      }
      totalAmount {
        amount
      }
      shortfall {
        amount
      }
    }
    ... on AccountNotFound {
      iban
    }
    ... on IdempotencyKeyReused {
      existingBulkTransfer {
        id
        createdAt
      }
    }
    ... on UserError {
      code
      message
      retryable
    }
  }
}
`,
  variables: bulkTransferVariables,
};

const wrongRows: ExampleOperation = {
  operationName: 'WrongRows',
  query: /* GraphQL */ `# The answer names every wrong field of every row.
# Nothing is debited. Rows count from 0.

mutation WrongRows($input: PerformBulkTransferInput!) {
  performBulkTransfer(input: $input) {
    __typename
    ... on BulkTransferPerformed {
      bulkTransfer {
        id
      }
    }
    ... on InvalidBulkTransfer {
      problemCount
      problems {
        index
        field
        code
        message
      }
    }
    ... on UserError {
      code
      message
      retryable
    }
  }
}
`,
  variables: {
    input: {
      ...debtor,
      creditTransfers: [
        {
          amount: '1,50',
          counterpartyName: 'Muster Logistik GmbH',
          counterpartyIban: 'DE89370400440532013000',
          description: 'A comma instead of a point',
          endToEndId: 'INV-4411',
        },
        {
          amount: '20.00',
          counterpartyName: 'Muster Logistik GmbH',
          counterpartyIban: 'DE89370400440532013001',
          description: 'The last digit of the IBAN is wrong',
        },
        {
          amount: '20.00',
          counterpartyName: '',
          counterpartyIban: 'FR1420041010050500013M02606',
          description: 'No name',
        },
        {
          amount: '20.00',
          currency: 'USD',
          counterpartyName: 'Voorbeeld Software B.V.',
          counterpartyIban: 'NL91ABNA0417164300',
          description: 'The account is in EUR',
        },
        {
          amount: '10.005',
          counterpartyName: 'Muster Logistik GmbH',
          counterpartyIban: 'DE89370400440532013000',
          description: 'Half a cent, and the id of the first row again',
          endToEndId: 'INV-4411',
        },
      ],
    },
  },
};

const replay: ExampleOperation = {
  operationName: 'Replay',
  query: /* GraphQL */ `# Sends the bulk of the tab BulkTransfer again: run
# that tab first. The answer is the same, but has
# replayed: true. Nothing is debited again.

mutation Replay($input: PerformBulkTransferInput!) {
  performBulkTransfer(input: $input) {
    __typename
    ... on BulkTransferPerformed {
      replayed
      bulkTransfer {
        id
        createdAt
        totalAmount {
          amount
        }
      }
      account {
        balance {
          amount
          currency
        }
      }
    }
    ... on UserError {
      code
      message
      retryable
    }
  }
}
`,
  variables: bulkTransferVariables,
};

const validate: ExampleOperation = {
  operationName: 'Validate',
  query: /* GraphQL */ `# Checks a bulk without performing it: shows its
# total, the balance after it, and every problem of
# every row.

query Validate($input: PerformBulkTransferInput!) {
  validateBulkTransfer(input: $input) {
    transferCount
    totalAmount {
      amount
      currency
    }
    balanceAfter {
      amount
    }
    problems {
      index
      field
      code
      message
    }
    error {
      code
      message
    }
  }
}
`,
  variables: {
    input: {
      ...debtor,
      creditTransfers: bulkTransferVariables.input.creditTransfers,
    },
  },
};

const resume: ExampleOperation = {
  operationName: 'Resume',
  query: /* GraphQL */ `# The cursors of the newest transfers. Copy a cursor
# to Variables of the tab TransferPerformed, as
# "after": later ones come first, then live ones.

query Resume($iban: String!) {
  account(iban: $iban) {
    transfers(first: 5) {
      edges {
        cursor
        node {
          counterpartyName
          amount {
            amount
          }
        }
      }
    }
  }
}
`,
  variables: { iban: debtor.organizationIban },
};

const credit: ExampleOperation = {
  operationName: 'Credit',
  query: /* GraphQL */ `# For operators: adds money from outside. With its
# key it is one credit, however often it is sent.

mutation Credit($input: CreditAccountInput!) {
  creditAccount(input: $input) {
    __typename
    ... on AccountCredited {
      replayed
      account {
        balance {
          amount
          currency
        }
      }
    }
    ... on UserError {
      code
      message
    }
  }
}
`,
  variables: {
    input: {
      iban: debtor.organizationIban,
      amount: '500',
      description: 'A customer paid',
      idempotencyKey: 'acme-incoming-1',
    },
  },
};

const outbox: ExampleOperation = {
  operationName: 'Outbox',
  query: /* GraphQL */ `# For operators: messages that wait for the broker,
# and parked messages, which failed too often.

query Outbox {
  outbox {
    due
    oldestDueSince
    parked
    parkedMessages {
      id
    }
  }
}
`,
  variables: null,
};

const registerWebhook: ExampleOperation = {
  operationName: 'RegisterWebhook',
  query: /* GraphQL */ `# The server calls the url, below in Variables, for
# each event. Keep the secret: it verifies the calls,
# and only this answer has it.

mutation RegisterWebhook($input: RegisterWebhookInput!) {
  registerWebhook(input: $input) {
    __typename
    ... on WebhookRegistered {
      secret
      webhook {
        id
        url
        status
      }
    }
    ... on InvalidInput {
      problems {
        field
        code
        message
      }
    }
    ... on UserError {
      code
      message
    }
  }
}
`,
  variables: {
    input: {
      url: 'http://127.0.0.1:4001/hook',
      events: ['TRANSFER_PERFORMED'],
      accountIbans: [debtor.organizationIban],
    },
  },
};

const testWebhook: ExampleOperation = {
  operationName: 'TestWebhook',
  query: /* GraphQL */ `# Sends a test event. Copy the id of your webhook
# from the tab Webhooks to Variables.

mutation TestWebhook($webhookId: ID!) {
  sendTestEvent(webhookId: $webhookId) {
    __typename
    ... on Webhook {
      url
      status
    }
    ... on UserError {
      code
      message
    }
  }
}
`,
  variables: { webhookId: '00000000-0000-7000-8000-000000000000' },
};

const webhooks: ExampleOperation = {
  operationName: 'Webhooks',
  query: /* GraphQL */ `# Your webhooks, the last deliveries of each, and
# every attempt.

query Webhooks {
  webhooks(first: 10) {
    nodes {
      id
      url
      status
      deliveries(first: 5) {
        nodes {
          event
          status
          nextAttemptAt
          attempts {
            at
            durationMs
            httpStatus
            error
          }
        }
      }
    }
  }
}
`,
  variables: null,
};

const balanceUpdated: ExampleOperation = {
  operationName: 'BalanceUpdated',
  query: /* GraphQL */ `# Live: run this, then a bulk in another window.
# The balance comes at once, then with each change.

subscription BalanceUpdated($iban: String!) {
  balanceUpdated(accountIban: $iban) {
    balance {
      amount
      currency
    }
    sequence
    at
  }
}
`,
  variables: { iban: debtor.organizationIban },
};

const transferPerformed: ExampleOperation = {
  operationName: 'TransferPerformed',
  query: /* GraphQL */ `# Live: each transfer as it is performed. To resume,
# send the last cursor as "after": everything since
# then comes first, and nothing comes twice.

subscription TransferPerformed($iban: String!, $after: Cursor) {
  transferPerformed(accountIban: $iban, after: $after) {
    cursor
    transfer {
      index
      counterpartyName
      amount {
        amount
      }
      bulkTransfer {
        id
      }
    }
  }
}
`,
  variables: { iban: debtor.organizationIban },
};

const bulkTransferPerformed: ExampleOperation = {
  operationName: 'BulkTransferPerformed',
  query: /* GraphQL */ `# Live: one event for each bulk.

subscription BulkTransferPerformed($iban: String!, $after: Cursor) {
  bulkTransferPerformed(accountIban: $iban, after: $after) {
    cursor
    bulkTransfer {
      id
      transferCount
      totalAmount {
        amount
        currency
      }
      balanceAfter {
        amount
      }
    }
  }
}
`,
  variables: { iban: debtor.organizationIban },
};

/** The statement of the UTC month that `today` lies in, from its first day to its last. */
function statement(today: Date): ExampleOperation {
  const year = today.getUTCFullYear();
  const month = today.getUTCMonth();
  // Day 0 of the next month is the last day of this one.
  return {
    operationName: 'Statement',
    query: /* GraphQL */ `# Credits and debits from one day to the other, both
# included, in UTC. closingBalance is
# openingBalance + totalCredits - totalDebits.

query Statement($iban: String!, $from: Date!, $to: Date!) {
  account(iban: $iban) {
    organizationName
    statement(from: $from, to: $to) {
      from
      to
      openingBalance {
        amount
        currency
      }
      totalCredits {
        amount
      }
      totalDebits {
        amount
      }
      closingBalance {
        amount
      }
      entryCount
      entries(first: 20) {
        nodes {
          sequence
          createdAt
          kind
          description
          amount {
            amount
          }
          balanceAfter {
            amount
          }
        }
        pageInfo {
          hasNextPage
          endCursor
        }
      }
    }
  }
}
`,
    variables: {
      iban: debtor.organizationIban,
      from: isoDate(new Date(Date.UTC(year, month, 1))),
      to: isoDate(new Date(Date.UTC(year, month + 1, 0))),
    },
  };
}

const NO_ORDER = { id: '00000000-0000-7000-8000-000000000000' };

const importOrder: ExampleOperation = {
  operationName: 'ImportOrder',
  query: /* GraphQL */ `# Makes a draft of a file. Its second row has a
# wrong IBAN: the draft keeps it, and cannot be
# submitted. Larger files: POST /imports.

mutation ImportOrder($input: ImportOrderInput!) {
  importOrder(input: $input) {
    __typename
    ... on OrdersImported {
      orders {
        id
        status
        rowCount
        totalAmount {
          amount
          currency
        }
        problemCount
        problems(first: 5) {
          nodes {
            row
            line
            column
            code
            message
          }
        }
      }
    }
    ... on InvalidInput {
      problems {
        field
        message
      }
    }
    ... on UserError {
      code
      message
    }
  }
}
`,
  variables: {
    input: {
      organizationIban: debtor.organizationIban,
      format: 'CSV',
      fileName: 'payroll.csv',
      content: [
        'beneficiary_name;iban;amount;reference',
        'Jane Doe;DE89370400440532013000;1.250,00;Salary',
        'John Doe;NL91ABNA0417164301;980,50;Salary',
      ].join('\n'),
    },
  },
};

const orders: ExampleOperation = {
  operationName: 'Orders',
  query: /* GraphQL */ `# Your orders, newest first.

query Orders {
  orders(first: 5) {
    nodes {
      id
      name
      fileName
      status
      rowCount
      problemCount
      balanceAfter {
        amount
      }
      bulkTransfers {
        id
        transferCount
      }
    }
  }
}
`,
  variables: null,
};

const correctOrder: ExampleOperation = {
  operationName: 'CorrectOrder',
  query: /* GraphQL */ `# Corrects the row of the tab ImportOrder: copy
# the id of its draft to Variables. A warning
# never causes a refusal.

mutation CorrectOrder($id: ID!, $with: CreditTransferInput!) {
  replaceOrderRow(orderId: $id, row: 1, with: $with) {
    __typename
    ... on BulkTransferOrder {
      problemCount
      totalAmount {
        amount
      }
      balanceAfter {
        amount
      }
      warnings(first: 5) {
        nodes {
          row
          code
          message
        }
      }
    }
    ... on UserError {
      code
      message
    }
  }
}
`,
  variables: {
    ...NO_ORDER,
    with: {
      amount: '980.50',
      counterpartyName: 'John Doe',
      counterpartyIban: 'NL91ABNA0417164300',
      description: 'Salary',
    },
  },
};

const submitOrder: ExampleOperation = {
  operationName: 'SubmitOrder',
  query: /* GraphQL */ `# Lets a server perform the order, all or nothing.
# Run OrderProgress first to see it happen.

mutation SubmitOrder($id: ID!) {
  submitOrder(id: $id) {
    __typename
    ... on BulkTransferOrder {
      status
      submittedAt
    }
    ... on UserError {
      code
      message
    }
  }
}
`,
  variables: NO_ORDER,
};

const orderProgress: ExampleOperation = {
  operationName: 'OrderProgress',
  query: /* GraphQL */ `# The state of an order at once, then each change.

subscription OrderProgress($id: ID!) {
  orderProgress(id: $id) {
    phase
    rowsDone
    rowsTotal
    order {
      status
      failure {
        code
        message
      }
    }
  }
}
`,
  variables: NO_ORDER,
};

/** @param today the last day of the statement */
function exportStatement(today: Date): ExampleOperation {
  return {
    operationName: 'Export',
    query: /* GraphQL */ `# A link to a file, for ten minutes: open it below
# the address of this server.

mutation Export($input: CreateExportInput!) {
  createExport(input: $input) {
    __typename
    ... on ExportReady {
      url
      expiresAt
    }
    ... on UserError {
      code
      message
    }
  }
}
`,
    variables: {
      input: {
        accountIban: debtor.organizationIban,
        kind: 'STATEMENT_CAMT_053',
        from: isoDate(new Date(today.getTime() - 30 * 86_400_000)),
        to: isoDate(today),
        timeZone: 'Europe/Berlin',
      },
    },
  };
}

/** @returns the UTC day as YYYY-MM-DD, the form of the scalar Date */
function isoDate(day: Date): string {
  return day.toISOString().slice(0, 10);
}

/**
 * The example operations in the order of the tabs: the reads and mutations, the live ones, and
 * an operator's work.
 * Run in that order against a freshly seeded server, each gives the answer that its comment announces.
 * @param today the day whose month the statement covers
 */
export function exampleOperations(today: Date): readonly ExampleOperation[] {
  return [
    accounts,
    validate,
    bulkTransfer,
    wrongRows,
    replay,
    statement(today),
    resume,
    importOrder,
    orders,
    correctOrder,
    submitOrder,
    exportStatement(today),
    registerWebhook,
    testWebhook,
    webhooks,
    balanceUpdated,
    transferPerformed,
    bulkTransferPerformed,
    orderProgress,
    credit,
    outbox,
  ];
}
