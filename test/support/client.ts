/** A front end that sends JSON over HTTP. */
export class Client {
  /** @param token the caller's token, if the server requires one */
  constructor(
    readonly url: string,
    private readonly token?: string,
  ) {}

  /** Returns the same client with the token of another caller. */
  as(token: string): Client {
    return new Client(this.url, token);
  }

  /** Sends a GraphQL document. @returns the answer, including errors */
  async send(
    query: string,
    variables: Readonly<Record<string, unknown>> = {},
    headers: Readonly<Record<string, string>> = {},
  ): Promise<GraphQLAnswer> {
    const response = await this.post(JSON.stringify({ query, variables }), headers);
    const body = (await response.json()) as GraphQLBody;
    return { status: response.status, headers: response.headers, ...body };
  }

  /** Sends a document that must succeed. @returns its data */
  // biome-ignore lint/suspicious/noExplicitAny: what comes back is what the test asserts
  async data(query: string, variables?: Readonly<Record<string, unknown>>): Promise<any> {
    const answer = await this.send(query, variables);
    if (answer.errors) throw new Error(JSON.stringify(answer.errors));
    return answer.data;
  }

  post(body: string, headers: Readonly<Record<string, string>> = {}): Promise<Response> {
    return fetch(`${this.url}/graphql`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
        ...headers,
      },
      body,
    });
  }

  async perform(input: object, headers?: Readonly<Record<string, string>>) {
    const answer = await this.send(PERFORM, { input }, headers);
    if (answer.errors) throw new Error(JSON.stringify(answer.errors));
    return answer.data.performBulkTransfer;
  }

  async balance(iban: string): Promise<string> {
    const { account } = await this.data(
      'query ($iban: String!) { account(iban: $iban) { balance { amount } } }',
      { iban },
    );
    return account.balance.amount;
  }
}

interface GraphQLBody {
  // biome-ignore lint/suspicious/noExplicitAny: what comes back is what the test asserts
  readonly data?: any;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions: {
      readonly code: string;
      readonly requestId?: string;
      readonly retryAfterSeconds?: number;
    };
  }[];
}

export interface GraphQLAnswer extends GraphQLBody {
  readonly status: number;
  readonly headers: Headers;
}

/** The mutation performBulkTransfer with every member of its union. */
export const PERFORM = `
  mutation ($input: PerformBulkTransferInput!) {
    performBulkTransfer(input: $input) {
      __typename
      ... on BulkTransferPerformed {
        replayed
        account { iban sequence balance { amount } }
        bulkTransfer {
          id idempotencyKey transferCount status
          totalAmount { amount minorUnits currency }
          balanceAfter { amount }
          transfers(first: 100) {
            nodes {
              id index amount { amount } counterpartyName counterpartyIban counterpartyBic
              description endToEndId
            }
          }
        }
      }
      ... on InvalidBulkTransfer { problemCount problems { index field code message } }
      ... on InsufficientFunds {
        balance { amount } totalAmount { amount } shortfall { amount }
      }
      ... on AccountNotFound { iban }
      ... on IdempotencyKeyReused { reused: existingBulkTransfer { id } }
      ... on UserError { code message retryable }
    }
  }`;
