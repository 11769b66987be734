import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { ibanOf } from '../../support/builders.js';
import { Client, type GraphQLAnswer } from '../../support/client.js';
import type { Random } from '../../support/seeded-random.js';

/**
 * Clients that send bulks and credits with idempotency keys, and repeat each request until they have a definite answer.
 * The rest of a test compares the server with these answers.
 */
export interface Load {
  /** Requests with a definite answer. */
  readonly answered: readonly Answered[];
  /** Numbers of indefinite answers: network errors, masked errors, database outages, busy accounts. */
  readonly indefinite: Readonly<Record<Indefinite, number>>;
  /** Waits until this number of further requests have definite answers. */
  untilMore(count: number): Promise<void>;
  /** Sends no new requests, and waits for the answers to all. @throws the unexpected answer that a client got */
  stop(): Promise<void>;
}

export interface Row {
  readonly amount: string;
  readonly counterpartyName: string;
  readonly counterpartyIban: string;
  readonly description: string;
}

/** A request of a client. All of its rows contain its key. */
export interface LoadRequest {
  readonly key: string;
  readonly iban: string;
  /** The rows of a bulk; absent for a credit. */
  readonly rows?: readonly Row[];
  /** The amount of a credit; absent for a bulk. */
  readonly amount?: string;
  readonly expected: string;
}

export interface Answered {
  readonly request: LoadRequest;
  /** The id of the bulk, or of the credit's ledger entry, if there is one. */
  readonly id: string | undefined;
}

type Indefinite = 'unreachable' | 'masked' | 'unavailable' | 'busy';

/** Maximum time until a definite answer. A longer wait is a failure of the server. */
const ANSWER_MAX_MS = 60_000;
const ATTEMPT_MAX_MS = 30_000;

/** An amount that exceeds every balance. */
const AMOUNT_TOO_LARGE = '999999999.99';

const OPENING_BALANCE = '900000000.00';

/** Returns IBANs that only this run uses, because the broker may be shared. */
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
  const runClient = async (client: number) => {
    const random = randomOf(`client ${client}`);
    const earlierAnswers: Answered[] = [];
    for (let number = 0; !isStopping; number += 1) {
      const request = nextRequest(random, `${client}-${number}`, ibans, earlierAnswers);
      const id = await sendUntilDefinite(request, random, urls, indefinite);
      earlierAnswers.push({ request, id });
      answered.push({ request, id });
      for (const watcher of watchers) watcher();
    }
  };
  const allClients = Promise.all(Array.from({ length: clients }, (_, client) => runClient(client)));
  // The callers of untilMore and stop get the error.
  allClients.catch(() => {});
  const untilMore = async (count: number) => {
    const wanted = answered.length + count;
    let watcher = () => {};
    const reached = new Promise<void>((resolve) => {
      watcher = () => {
        if (answered.length >= wanted) resolve();
      };
      watchers.add(watcher);
    });
    await Promise.race([reached, allClients]);
    watchers.delete(watcher);
  };
  const stop = async () => {
    isStopping = true;
    await allClients;
  };
  return { answered, indefinite, untilMore, stop };
}

/**
 * Returns small and large bulks, to outside and between accounts; credits; requests that the server must refuse;
 * replays.
 */
function nextRequest(
  random: Random,
  key: string,
  ibans: readonly string[],
  earlierAnswers: readonly Answered[],
): LoadRequest {
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
  const earlier = earlierAnswers
    .filter(({ request }) => request.rows && request.expected === PERFORMED)
    .at(-1);
  const kind = random.below(100);
  if (kind < 8 && earlier) return earlier.request;
  if (kind < 12 && earlier) {
    const { iban, key } = earlier.request;
    return { key, iban, rows: rowsOf(1, outside), expected: 'IdempotencyKeyReused' };
  }
  const invalid = (row: object, expected: string) => ({
    key,
    iban,
    rows: rowsOf(2, everyone).map((valid) => ({ ...valid, ...row })),
    expected,
  });
  if (kind < 17) return invalid({ amount: AMOUNT_TOO_LARGE }, 'InsufficientFunds');
  if (kind < 20) return invalid({ counterpartyIban: 'NL00BANK' }, 'InvalidBulkTransfer');
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

/** Repeats a request with its key until the outcome is known. */
async function sendUntilDefinite(
  request: LoadRequest,
  random: Random,
  urls: () => readonly string[],
  indefinite: Record<Indefinite, number>,
): Promise<string | undefined> {
  const end = Date.now() + ANSWER_MAX_MS;
  for (;;) {
    const outcome = await attempt(request, random, urls());
    if (typeof outcome === 'object') return outcome.id;
    indefinite[outcome] += 1;
    if (Date.now() > end) throw new Error(`No definite answer to ${request.key}: ${outcome}`);
    await sleep(random.between(10, 60));
  }
}

const OUTAGE_CODES = ['UNAVAILABLE', 'OUTCOME_UNKNOWN'];

async function attempt(
  request: LoadRequest,
  random: Random,
  urls: readonly string[],
): Promise<Indefinite | Pick<Answered, 'id'>> {
  if (urls.length === 0) return 'unreachable';
  const answer = await ask(new Client(random.pick(urls)), request);
  if (!answer) return 'unreachable';
  if (answer.errors) {
    const codes = answer.errors.map(({ extensions }) => extensions.code);
    if (codes.every((code) => code === 'INTERNAL_SERVER_ERROR')) return 'masked';
    if (codes.every((code) => OUTAGE_CODES.includes(code))) return 'unavailable';
    throw new Error(`${request.key} was answered ${JSON.stringify(answer.errors)}`);
  }
  const { __typename, bulkTransfer, entry } = answer.data.outcome;
  if (__typename === 'AccountBusy') return 'busy';
  if (__typename !== request.expected) throw new Error(`${request.key} came to ${__typename}`);
  return { id: (bulkTransfer ?? entry)?.id };
}

async function ask(client: Client, request: LoadRequest): Promise<GraphQLAnswer | undefined> {
  const { key: idempotencyKey, iban, rows: creditTransfers, amount } = request;
  const [query, input] = creditTransfers
    ? [PERFORM, { organizationIban: iban, idempotencyKey, creditTransfers }]
    : [CREDIT, { iban, idempotencyKey, amount, description: `${idempotencyKey}/` }];
  let timeout: NodeJS.Timeout | undefined;
  const timedOut = new Promise<never>((_, reject) => {
    const fail = () => reject(new NoAnswerError(`${request.key} was not answered at all`));
    timeout = setTimeout(fail, ATTEMPT_MAX_MS);
  });
  try {
    return await Promise.race([client.send(query, { input }), timedOut]);
  } catch (error) {
    if (error instanceof NoAnswerError) throw error;
    return undefined;
  } finally {
    clearTimeout(timeout);
  }
}

class NoAnswerError extends Error {}

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
