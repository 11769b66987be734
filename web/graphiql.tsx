import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import 'graphiql/style.css';
import EditorWorker from 'monaco-editor/esm/vs/editor/editor.worker.js?worker';
import JsonWorker from 'monaco-editor/esm/vs/language/json/json.worker.js?worker';
import GraphQLWorker from 'monaco-graphql/esm/graphql.worker.js?worker';
import { createRoot } from 'react-dom/client';
import { exampleOperations } from './example-operations.ts';

// graphiql/setup-workers/vite would do the same, but logs a line to the console for each worker.
self.MonacoEnvironment = {
  getWorker(_workerId, label) {
    if (label === 'graphql') return new GraphQLWorker();
    if (label === 'json') return new JsonWorker();
    return new EditorWorker();
  },
};

const subscriptionUrl = new URL('/graphql', location.href);
subscriptionUrl.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';

const fetcher = createGraphiQLFetcher({ url: '/graphql', subscriptionUrl: subscriptionUrl.href });

const exampleTabs = exampleOperations(new Date()).map(({ query, variables }) => ({
  query,
  variables: variables && JSON.stringify(variables, null, 2),
}));

const container = document.querySelector('#graphiql');
if (container === null) throw new Error('graphiql.html has no element #graphiql');

createRoot(container).render(
  // defaultTabs count on the first visit only: afterwards GraphiQL restores the visitor's own tabs.
  <GraphiQL fetcher={fetcher} defaultTabs={exampleTabs} defaultEditorToolsVisibility="variables">
    <GraphiQL.Logo>Virement</GraphiQL.Logo>
  </GraphiQL>,
);
