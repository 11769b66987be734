/**
 * Measures the time of a unit of cost. The program selects each field of the schema with the largest pages,
 * on an account with many transfers, and divides the milliseconds by the cost that the server reports. The
 * most expensive operations come first, each with the time for which it blocks the server's event loop.
 *
 *   npm run bench:costs [-- --database sqlite|mariadb] [--transfers 100000] [--rounds 5]
 *     [--only totalCount]
 *
 * docs/limits.md has the table and the bounds. The exit code is 1 if an operation exceeds a bound.
 */
import { parseArgs } from 'node:util';
import { buildClientSchema, getIntrospectionQuery, type IntrospectionQuery } from 'graphql';
import { describeMachine, machineLine } from './harness/machine.ts';
import { runProgram } from './harness/program.ts';
import { percentile } from './harness/statistics.ts';
import {
  type ArgumentValues,
  COSTS_IBAN,
  COUNTERPARTY_IBAN,
  costOperations,
  type Operation,
  PERFORM_WITH_ID,
  variedBulk,
} from './measurements/cost-operations.ts';
import { createLedger, parseLedgerDatabase, verifyLedger } from './subjects/virement/ledger.ts';
import { VirementServer } from './subjects/virement/server.ts';

const MINUTES_MAX = 60;

/** Milliseconds that a unit of cost may take, on the machine that docs/limits.md names. */
const MS_PER_UNIT_MAX = 1;

/** Milliseconds for which one operation may block the event loop. */
const EVENT_LOOP_BLOCKED_MS_MAX = 100;

const WARM_UP_ROUNDS = 2;
const BULK_TRANSFERS = 10_000;

/** Bulks of one transfer, so that statements have many entries. */
const SMALL_BULKS = 300;

const { values: options } = parseArgs({
  options: {
    database: { type: 'string', default: 'sqlite' },
    transfers: { type: 'string', default: '100000' },
    rounds: { type: 'string', default: '5' },
    /** Measures only the operations whose name contains this text. */
    only: { type: 'string', default: '' },
  },
});
const transferCount = Number(options.transfers);
const rounds = Number(options.rounds);

interface Answer {
  readonly data?: Readonly<Record<string, unknown>>;
  readonly errors?: readonly { readonly message: string; readonly extensions: { code: string } }[];
  readonly extensions?: { readonly cost?: { readonly requested: number } };
}

interface MeasuredOperation {
  readonly name: string;
  readonly cost: number;
  readonly ms: number;
  readonly msPerUnit: number;
  readonly eventLoopBlockedMs: number;
}

async function send(
  server: VirementServer,
  query: string,
  variables: object = {},
): Promise<Answer> {
  const response = await server.send(query, variables);
  return (await response.json()) as Answer;
}

/** Returns the longest turn of the server's event loop since the last call. */
async function longestTurnMs({ origin }: VirementServer): Promise<number> {
  const metrics = await (await fetch(`${origin}/metrics`)).text();
  return Number(/^nodejs_eventloop_lag_max_seconds (\S+)/m.exec(metrics)?.[1]) * 1_000;
}

async function fillLedger(server: VirementServer): Promise<void> {
  for (const iban of [COSTS_IBAN, COUNTERPARTY_IBAN]) await server.openAccount(iban);
  for (let first = 0; first < transferCount; first += BULK_TRANSFERS) {
    const count = Math.min(BULK_TRANSFERS, transferCount - first);
    const { errors } = await send(server, PERFORM_WITH_ID, variedBulk(count, first));
    if (errors) throw new Error(JSON.stringify(errors));
  }
  for (let bulk = 0; bulk < SMALL_BULKS; bulk += 1) {
    await send(server, PERFORM_WITH_ID, variedBulk(1, bulk));
  }
}

async function argumentValues(server: VirementServer): Promise<ArgumentValues> {
  const { data } = await send(
    server,
    `{ account(iban: "${COSTS_IBAN}") { transfers(first: 1) { nodes { id bulkTransfer { id } } } } }`,
  );
  const account = data?.account as {
    transfers: { nodes: [{ id: string; bulkTransfer: { id: string } }] };
  };
  const [{ id, bulkTransfer }] = account.transfers.nodes;
  return {
    iban: `"${COSTS_IBAN}"`,
    accountIban: `"${COSTS_IBAN}"`,
    idempotencyKey: '"none"',
    from: '"2020-01-01"',
    to: '"2100-01-01"',
    'Query.bulkTransfer.id': `"${bulkTransfer.id}"`,
    id: `"${id}"`,
  };
}

/** Returns the operations whose name contains the option --only. */
async function chosenOperations(server: VirementServer): Promise<Operation[]> {
  const introspection = (await send(server, getIntrospectionQuery())).data;
  const schema = buildClientSchema(introspection as unknown as IntrospectionQuery);
  const operations = costOperations(schema, await argumentValues(server));
  return operations.filter(({ name }) => name.includes(options.only));
}

/** @returns undefined, with a message in the output, if the server answers without a cost */
async function measureOperation(
  server: VirementServer,
  { name, query, variables }: Operation,
): Promise<MeasuredOperation | undefined> {
  const durationsMs: number[] = [];
  let cost = 0;
  for (let round = 0; round < WARM_UP_ROUNDS + rounds; round += 1) {
    if (round === WARM_UP_ROUNDS) await longestTurnMs(server);
    const values = variables?.() ?? {};
    const startedAt = performance.now();
    const answer = await send(server, query, values);
    const durationMs = performance.now() - startedAt;
    cost = answer.extensions?.cost?.requested ?? 0;
    if (cost === 0) {
      console.log(`${name}: ${answer.errors?.[0]?.message ?? 'the answer has no cost'}`);
      return undefined;
    }
    if (round >= WARM_UP_ROUNDS) durationsMs.push(durationMs);
  }
  const eventLoopBlockedMs = await longestTurnMs(server);
  const ms = percentile(durationsMs, 0.5);
  return { name, cost, ms, msPerUnit: ms / cost, eventLoopBlockedMs };
}

function printTable(measured: readonly MeasuredOperation[]): void {
  console.log('| operation | cost | ms | ms a unit | event loop blocked, ms |');
  console.log('|---|---|---|---|---|');
  for (const { name, cost, ms, msPerUnit, eventLoopBlockedMs } of measured) {
    const figures = [cost, ms.toFixed(1), msPerUnit.toFixed(3), eventLoopBlockedMs.toFixed(0)];
    console.log(`| ${[name, ...figures].join(' | ')} |`);
  }
}

const exceedsBound = ({ msPerUnit, eventLoopBlockedMs }: MeasuredOperation) =>
  msPerUnit > MS_PER_UNIT_MAX || eventLoopBlockedMs > EVENT_LOOP_BLOCKED_MS_MAX;

async function measureCosts(): Promise<void> {
  const databaseKind = parseLedgerDatabase(options.database);
  const database = await createLedger(databaseKind, 'costs');
  const server = await VirementServer.start(database.url, {
    hasAuthentication: false,
    env: { OPERATION_COST_MAX: '100000', RATE_LIMIT_BURST: '100000' },
  });
  await fillLedger(server);
  const measured: MeasuredOperation[] = [];
  for (const operation of await chosenOperations(server)) {
    const one = await measureOperation(server, operation);
    if (one) measured.push(one);
  }
  measured.sort((one, other) => other.msPerUnit - one.msPerUnit);
  console.log(`\n${machineLine(describeMachine())}`);
  console.log(`\n${databaseKind}, an account with ${transferCount} transfers\n`);
  printTable(measured);
  const exceeding = measured.filter(exceedsBound);
  for (const { name } of exceeding) console.log(`over a bound: ${name}`);
  if (exceeding.length > 0) process.exitCode = 1;
  await server.stop();
  await verifyLedger(database.url);
}

await runProgram(MINUTES_MAX, measureCosts);
