import { ApolloClient, ApolloLink, HttpLink, InMemoryCache } from '@apollo/client';
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries';
import { type DocumentNode, Kind, parse, visit } from 'graphql';
import { describe, expect, test } from 'vitest';
import { exampleOperations } from '../../web/example-operations.js';
import { ACME, aBulk, aTransfer } from '../support/builders.js';
import { generateClient } from '../support/codegen.js';
import { startServer } from '../support/server.js';

/** The documents of a front end that shows an account and sends bulks from it. */
const FRONT_END = [
  `query Balance($iban: String!) {
    account(iban: $iban) { id balance { amount } transfers(first: 1) { nodes { id } } }
  }`,
  `mutation Perform($input: PerformBulkTransferInput!) {
    performBulkTransfer(input: $input) {
      ... on BulkTransferPerformed { bulkTransfer { id } account { id balance { amount } } }
      ... on IdempotencyKeyReused { existingBulkTransfer { id } }
      ...Refusal
    }
  }
  fragment Refusal on UserError { code message }`,
];

/** A document in the form that codegen writes. */
type Generated = DocumentNode & { readonly __meta__: { readonly hash: string } };

/**
 * Counts selections of a document without `__typename`. The root of a subscription, which has one field, is not
 * counted.
 */
function selectionsWithoutTypename(text: string): number {
  let count = 0;
  visit(parse(text), {
    SelectionSet: ({ selections }, _key, parent) => {
      const isSubscription =
        typeof parent === 'object' && 'operation' in parent && parent.operation === 'subscription';
      const hasTypename = selections.some(
        (selection) => selection.kind === Kind.FIELD && selection.name.value === '__typename',
      );
      if (!isSubscription && !hasTypename) count += 1;
    },
  });
  return count;
}

describe('the documents that codegen writes', () => {
  test('select __typename everywhere, and keep the fields of both outcomes apart', async () => {
    const examples = exampleOperations(new Date()).map(({ query }) => query);
    const both = `mutation Both($input: PerformBulkTransferInput!) {
      performBulkTransfer(input: $input) {
        ... on BulkTransferPerformed { bulkTransfer { id } }
        ... on IdempotencyKeyReused { existingBulkTransfer { id } }
      }
    }`;

    const { manifest } = await generateClient([...examples, both]);

    const texts = Object.values(manifest);
    expect(texts).toHaveLength(examples.length + 1);
    expect(texts.map(selectionsWithoutTypename)).toEqual(texts.map(() => 0));
  });

  test("keep Apollo Client's cache normalised if the server runs only trusted documents", async () => {
    const { manifestFile, operations, possibleTypes } = await generateClient(FRONT_END);
    const { client, url } = await startServer({
      TRUSTED_DOCUMENTS: 'only',
      TRUSTED_DOCUMENTS_FILE: manifestFile,
    });
    const apollo = new ApolloClient({
      cache: new InMemoryCache({ possibleTypes }),
      link: ApolloLink.from([
        new PersistedQueryLink({
          // The hash is the one of codegen, because Apollo prints the document in another way.
          generateHash: (document) => (document as Generated).__meta__.hash,
        }),
        new HttpLink({ uri: `${url}/graphql` }),
      ]),
    });
    const balance = { query: operations.BalanceDocument, variables: { iban: ACME } };
    const before = await apollo.query(balance);
    const { data } = await apollo.mutate({
      mutation: operations.PerformDocument,
      variables: { input: aBulk([aTransfer({ amount: '1' })]) },
    });

    // There is no second request: the mutation's account is the one that the query read.
    const after = apollo.readQuery(balance);
    expect([before.data, data, after]).toMatchObject([
      { account: { balance: { amount: '100000.00' } } },
      { performBulkTransfer: { __typename: 'BulkTransferPerformed' } },
      { account: { balance: { amount: '99999.00' } } },
    ]);
    const refused = await apollo.mutate({
      mutation: operations.PerformDocument,
      variables: { input: aBulk([]) },
    });
    // The cache matches a fragment on an interface by possibleTypes.
    expect(refused.data).toMatchObject({
      performBulkTransfer: { code: 'INVALID_BULK_TRANSFER' },
    });
    expect(await client.send('{ __typename }')).toMatchObject({ status: 400 });
  });
});
