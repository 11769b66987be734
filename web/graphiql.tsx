import { createGraphiQLFetcher, type Fetcher } from '@graphiql/toolkit';
import { GraphiQL } from 'graphiql';
import 'graphiql/style.css';
import EditorWorker from 'monaco-editor/esm/vs/editor/editor.worker.js?worker';
import JsonWorker from 'monaco-editor/esm/vs/language/json/json.worker.js?worker';
import GraphQLWorker from 'monaco-graphql/esm/graphql.worker.js?worker';
import { type FormEvent, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { exampleOperations } from './example-operations.ts';
import { withLatest } from './latest-events.ts';

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

/** Sends a token with everything; GraphiQL gives the headers to the WebSocket's first message, too. */
function fetcherWith(token: string): Fetcher {
  const headers = token === '' ? {} : { authorization: `Bearer ${token}` };
  return async (request, options) => {
    const given = { ...options, headers: { ...headers, ...options?.headers } };
    const result = await fetcher(request, given);
    return Symbol.asyncIterator in result ? withLatest(result) : result;
  };
}

/** Whether the server lets a caller in that has this token, or none. */
async function isLetIn(token: string): Promise<boolean> {
  const headers = new Headers({ 'apollo-require-preflight': 'true' });
  if (token !== '') headers.set('authorization', `Bearer ${token}`);
  const { status } = await fetch('/graphql?query={__typename}', { headers });
  return status !== 401;
}

/** Asks for a token where the server does. */
function Banner({ token }: { readonly token: string }) {
  const [isShown, setShown] = useState(false);
  useEffect(() => {
    let isCurrent = true;
    isLetIn(token).then(
      (isIn) => isCurrent && setShown(!isIn),
      () => {},
    );
    return () => {
      isCurrent = false;
    };
  }, [token]);
  if (!isShown) return null;
  return (
    <p className="banner" role="alert">
      {token === ''
        ? 'This server requires authentication.'
        : 'This token is not valid, or has expired.'}{' '}
      Enter a token or an API key in the field at the top right, and press Enter. For development:{' '}
      <code>npm run token -- --help</code>
    </p>
  );
}

/** For as long as the browser's tab lives, and for nobody else. */
const TOKEN = 'virement-token';

const exampleTabs = exampleOperations(new Date()).map(({ query, variables }) => ({
  query,
  variables: variables && JSON.stringify(variables, null, 2),
}));

const container = document.querySelector('#graphiql');
if (container === null) throw new Error('graphiql.html has no element #graphiql');

function Pages() {
  const [token, setToken] = useState(sessionStorage.getItem(TOKEN) ?? '');
  const keep = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const given = String(new FormData(event.currentTarget).get('token') ?? '').trim();
    sessionStorage.setItem(TOKEN, given);
    setToken(given);
  };
  return (
    <main className="pages">
      <Banner token={token} />
      <div className="editor">
        {/* Another token sees another schema, or none: everything begins anew. defaultTabs count on the first
            visit only: afterwards GraphiQL restores the visitor's own tabs. */}
        <GraphiQL
          key={token}
          fetcher={fetcherWith(token)}
          defaultTabs={exampleTabs}
          defaultEditorToolsVisibility="variables"
        >
          <GraphiQL.Logo>
            <form className="token" onSubmit={keep}>
              <input
                name="token"
                type="password"
                placeholder="Token or API key"
                aria-label="Token or API key"
                title="Sent as Authorization: Bearer; press Enter"
                autoComplete="off"
                defaultValue={token}
              />
            </form>
            Virement
          </GraphiQL.Logo>
        </GraphiQL>
      </div>
    </main>
  );
}

createRoot(container).render(<Pages />);
