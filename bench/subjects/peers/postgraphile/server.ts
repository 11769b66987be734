/** PostGraphile with its Amber preset. A function of the database performs the bulk, and the server calls it. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { postgraphile } from 'postgraphile';
import { makePgService } from 'postgraphile/adaptors/pg';
import { grafserv } from 'postgraphile/grafserv/node';
import { PostGraphileAmberPreset } from 'postgraphile/presets/amber';

const BODY_LIMIT_BYTES = 10 * 1_024 * 1_024;

const graphile = postgraphile({
  extends: [PostGraphileAmberPreset],
  pgServices: [
    makePgService({ connectionString: process.env.DATABASE_URL ?? '', schemas: ['public'] }),
  ],
  grafserv: {
    graphqlPath: '/graphql',
    graphiql: false,
    watch: false,
    maxRequestLength: BODY_LIMIT_BYTES,
  },
  grafast: { explain: false },
});

const server = createServer();
await graphile.createServ(grafserv).addTo(server);
server.listen(0, '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
// The pool would keep the process alive for ten more seconds. Every request is answered by now.
process.once('SIGTERM', () => process.exit());
