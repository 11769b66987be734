import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ibanOf } from '../../support/builders.js';
import { Client, type GraphQLAnswer } from '../../support/client.js';
import type { Random } from './seeded-random.js';

/**
 * Clients that send bulks and credits, each with an idempotency key, and send the very same again until
 * they have a definite answer. What is definite here is what the rest of a test holds the server to.
 */
export interface Load {
  /** Every request, once it has its definite answer. */
  readonly answered: readonly Answered[];
  /** Answers that were not definite: network errors, masked errors, outages of the database, busy accounts. */
  readonly indefinite: Readonly<Record<Indefinite, number>>;
  /** Until so many more have their answers. */
  untilMore(count: number): Promise<void>;
  /** Sends nothing new, and waits until all have their answers. @throws what a client did not expect */
  stop(): Promise<void>;
}

export interface Row {
  readonly amount: string;
  readonly counterpartyName: string;
  readonly counterpartyIban: string;
  readonly description: string;
}

/** What a client asks for: all of its rows say its key. */
export interface Order {
  readonly key: string;
  readonly iban: string;
  /** Of a bulk; a credit has none. */
  readonly rows?: readonly Row[];
  /** Of a credit. */
  readonly amount?: string;
  readonly expected: string;
}

export interface Answered {
  readonly order: Order;
  /** Of the bulk, or of the credit's ledger entry, where there is one. */
  readonly id: string | undefined;
}

type Indefinite = 'unreachable' | 'masked' | 'unavailable' | 'busy';

/** After which a request that has no definite answer, or hangs, is a failure of the server. */
const ANSWER_MAX_MS = 60_000;
const ATTEMPT_MAX_MS = 30_000;

/** More than there is in any account. */
const TOO_MUCH = '999999999.99';

const OPENING_BALANCE = '900000000.00';

/** IBANs of a run's own: a broker may be everyone's. */
export function newIbans(count: number): string[] {
  const first = randomInt(1_000_000_000);
  return Array.from({ length: count }, (_, index) => ibanOf(first + index));
}

export async function openAccounts(client: Client, ibans: readonly string[]): Promise<void> {
  const facts = { bic: 'ABNANL2A', organizationName: 'Acme', openingBalance: OPENING_BALANCE };
  for (const iban of ibans) {
    const { openAccount } = await client.data(OPEN, { input: { iban, ...facts } });
    if (openAccount.__typename !== 'AccountOpened') throw new Error(openAccount.__typename);
  }
}

const OPEN = 'mutation ($input: OpenAccountInput!) { openAccount(input: $input) { __typename } }';

export function startLoad({
  clients,
  ibans,
  urls,
  randomOf,
}: {
  readonly clients: number;
  readonly ibans: readonly string[];
  readonly urls: () => readonly string[];
  readonly randomOf: (name: string) => Random;
}): Load {
  const answered: Answered[] = [];
  const indefinite = { unreachable: 0, masked: 0, unavailable: 0, busy: 0 };
  const watchers = new Set<() => void>();
  let isStopping = false;
  const work = async (client: number) => {
    const random = randomOf(`client ${client}`);
    const own: Answered[] = [];
    for (let number = 0; !isStopping; number += 1) {
      const order = orderOf(random, `${client}-${number}`, ibans, own);
      const id = await untilDefinite(order, random, urls, indefinite);
      own.push({ order, id });
      answered.push({ order, id });
      for (const watcher of watchers) watcher();
    }
  };
  const working = Promise.all(Array.from({ length: clients }, (_, client) => work(client)));
  // Whoever waits for more, or stops, hears of it.
  working.catch(() => {});
  const untilMore = async (count: number) => {
    const wanted = answered.length + count;
    let watcher = () => {};
    const reached = new Promise<void>((resolve) => {
      watcher = () => {
        if (answered.length >= wanted) resolve();
      };
      watchers.add(watcher);
    });
    await Promise.race([reached, working]);
    watchers.delete(watcher);
  };
  const stop = async () => {
    isStopping = true;
    await working;
  };
  return { answered, indefinite, untilMore, stop };
}

/** Bulks of some rows and of many, to outside and to each other; credits; what must be refused; replays. */
function orderOf(
  random: Random,
  key: string,
  ibans: readonly string[],
  own: readonly Answered[],
): Order {
  const iban = random.pick(ibans);
  const rowsOf = (count: number, receivers: readonly string[]) =>
    Array.from({ length: count }, (_, index) => ({
      amount: `${random.between(0, 4)}.${random.between(10, 99)}`,
      counterpartyName: 'Bip Bip',
      counterpartyIban: random.pick(receivers),
      description: `${key}/${index}`,
    }));
  const outside = [ibanOf(1), ibanOf(2), ibanOf(3)];
  const everyone = [...outside, ...ibans.filter((other) => other !== iban)];
  const earlier = own.filter(({ order }) => order.rows && order.expected === PERFORMED).at(-1);
  const kind = random.below(100);
  if (kind < 8 && earlier) return earlier.order;
  if (kind < 12 && earlier) {
    const { iban, key } = earlier.order;
    return { key, iban, rows: rowsOf(1, outside), expected: 'IdempotencyKeyReused' };
  }
  const refused = (row: object, expected: string) => ({
    key,
    iban,
    rows: rowsOf(2, everyone).map((right) => ({ ...right, ...row })),
    expected,
  });
  if (kind < 17) return refused({ amount: TOO_MUCH }, 'InsufficientFunds');
  if (kind < 20) return refused({ counterpartyIban: 'NL00BANK' }, 'InvalidBulkTransfer');
  if (kind < 30) {
    return { key, iban, amount: `${random.between(1, 9)}.50`, expected: 'AccountCredited' };
  }
  if (kind < 35) {
    return { key, iban, rows: rowsOf(random.between(200, 1_000), everyone), expected: PERFORMED };
  }
  const receivers = kind < 70 ? outside : everyone;
  return { key, iban, rows: rowsOf(random.between(1, 20), receivers), expected: PERFORMED };
}

const PERFORMED = 'BulkTransferPerformed';

/** Asks again with the same key for as long as it is unknown what became of it. */
async function untilDefinite(
  order: Order,
  random: Random,
  urls: () => readonly string[],
  indefinite: Record<Indefinite, number>,
): Promise<string | undefined> {
  const end = Date.now() + ANSWER_MAX_MS;
  for (;;) {
    const outcome = await attempt(order, random, urls());
    if (typeof outcome === 'object') return outcome.id;
    indefinite[outcome] += 1;
    if (Date.now() > end) throw new Error(`No definite answer to ${order.key}: ${outcome}`);
    await sleep(random.between(10, 60));
  }
}

const OUTAGE_CODES = ['UNAVAILABLE', 'OUTCOME_UNKNOWN'];

async function attempt(
  order: Order,
  random: Random,
  urls: readonly string[],
): Promise<Indefinite | Pick<Answered, 'id'>> {
  if (urls.length === 0) return 'unreachable';
  const answer = await ask(new Client(random.pick(urls)), order);
  if (!answer) return 'unreachable';
  if (answer.errors) {
    const codes = answer.errors.map(({ extensions }) => extensions.code);
    if (codes.every((code) => code === 'INTERNAL_SERVER_ERROR')) return 'masked';
    if (codes.every((code) => OUTAGE_CODES.includes(code))) return 'unavailable';
    throw new Error(`${order.key} was answered ${JSON.stringify(answer.errors)}`);
  }
  const { __typename, bulkTransfer, entry } = answer.data.outcome;
  if (__typename === 'AccountBusy') return 'busy';
  if (__typename !== order.expected) throw new Error(`${order.key} came to ${__typename}`);
  return { id: (bulkTransfer ?? entry)?.id };
}

async function ask(client: Client, order: Order): Promise<GraphQLAnswer | undefined> {
  const { key: idempotencyKey, iban, rows: creditTransfers, amount } = order;
  const [query, input] = creditTransfers
    ? [PERFORM, { organizationIban: iban, idempotencyKey, creditTransfers }]
    : [CREDIT, { iban, idempotencyKey, amount, description: `${idempotencyKey}/` }];
  let timeout: NodeJS.Timeout | undefined;
  const hangs = new Promise<never>((_, reject) => {
    const late = () => reject(new HangError(`${order.key} was not answered at all`));
    timeout = setTimeout(late, ATTEMPT_MAX_MS);
  });
  try {
    return await Promise.race([client.send(query, { input }), hangs]);
  } catch (error) {
    if (error instanceof HangError) throw error;
    return undefined;
  } finally {
    clearTimeout(timeout);
  }
}

class HangError extends Error {}

const PERFORM = `mutation ($input: PerformBulkTransferInput!) {
  outcome: performBulkTransfer(input: $input) {
    __typename
    ... on BulkTransferPerformed { bulkTransfer { id } }
  }
}`;

const CREDIT = `mutation ($input: CreditAccountInput!) {
  outcome: creditAccount(input: $input) {
    __typename
    ... on AccountCredited { entry { id } }
  }
}`;
