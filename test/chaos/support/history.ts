import type { Client } from '../../support/client.js';
import { everyNode } from './audit.js';

/** A request of the model. Accounts are numbers; amounts are in minor units. */
export type Request =
  | {
      readonly kind: 'perform' | 'validate';
      readonly from: number;
      readonly key: Key;
      readonly rows: readonly Row[];
    }
  | {
      readonly kind: 'credit';
      readonly to: number;
      readonly key: Key;
      readonly amountMinor: number;
    }
  | { readonly kind: 'read'; readonly of: number };

type Key = string | undefined;

interface Row {
  readonly to: number;
  readonly amountMinor: number;
}

/** The outcome of a request, according to its client. */
export type Outcome =
  | { readonly is: 'done'; readonly id: string; readonly isReplayed: boolean }
  | { readonly is: 'refused'; readonly balanceMinor: number }
  | { readonly is: 'key reused'; readonly id: string | undefined }
  | { readonly is: 'validated'; readonly balanceAfterMinor: number; readonly isValid: boolean }
  | { readonly is: 'read'; readonly balanceMinor: number; readonly sequence: number }
  | { readonly is: 'something else'; readonly what: unknown };

/** A request and its answer. Moments are numbered: a request that was answered before another was sent precedes it. */
export interface Answer {
  readonly request: Request;
  readonly sentAt: number;
  answeredAt: number;
  outcome: Outcome;
}

/** A ledger entry of an account. The first entry of a list has sequence 1. */
export interface Entry {
  readonly id: string;
  readonly bulkId: string | undefined;
  readonly amountMinor: number;
  readonly balanceAfterMinor: number;
}

/** All requests, in progress or answered. */
export class History {
  readonly answers: Answer[] = [];
  readonly #sent: { readonly request: Request; readonly answered: Promise<void> }[] = [];
  readonly #underWay = new Set<Promise<void>>();
  #moment = 0;

  /** @param ibans IBANs by account number */
  constructor(
    private readonly client: Client,
    private readonly ibans: readonly string[],
  ) {}

  async openAccounts(openingMinor: number, count: number): Promise<void> {
    for (const iban of this.ibans.slice(0, count)) {
      const openingBalance = decimal(openingMinor);
      const input = { iban, bic: 'ABNANL2A', organizationName: 'Acme', openingBalance };
      await this.client.data(
        'mutation ($input: OpenAccountInput!) { openAccount(input: $input) { __typename } }',
        { input },
      );
    }
  }

  send(request: Request): void {
    const answer: Answer = {
      request,
      sentAt: this.#tick(),
      answeredAt: Number.POSITIVE_INFINITY,
      outcome: { is: 'something else', what: 'no answer' },
    };
    this.answers.push(answer);
    const answered = this.#ask(request).then((outcome) => {
      Object.assign(answer, { outcome, answeredAt: this.#tick() });
      this.#underWay.delete(answered);
    });
    this.#underWay.add(answered);
    this.#sent.push({ request, answered });
  }

  sendAgain(which: number, isSame: boolean): void {
    const earlier = this.#sent[which]?.request;
    if (earlier) this.send(isSame ? earlier : otherContentOf(earlier));
  }

  async settled(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async anyAnswer(): Promise<void> {
    // Promise.race of an empty list never settles.
    if (this.#underWay.size > 0) await Promise.race(this.#underWay);
  }

  /** Returns the entries of the first accounts, by account number, oldest first. */
  async ledger(count: number): Promise<Entry[][]> {
    const ledger: Entry[][] = [];
    for (const iban of this.ibans.slice(0, count)) {
      const fields = 'id amount { minorUnits } balanceAfter { minorUnits } bulkTransfer { id }';
      const nodes = await everyNode(this.client, 'entries', iban, fields);
      ledger.push(
        nodes.map(({ id, amount, balanceAfter, bulkTransfer }) => ({
          id,
          bulkId: bulkTransfer?.id,
          amountMinor: Number(amount.minorUnits),
          balanceAfterMinor: Number(balanceAfter.minorUnits),
        })),
      );
    }
    return ledger;
  }

  #tick(): number {
    this.#moment += 1;
    return this.#moment;
  }

  async #ask(request: Request): Promise<Outcome> {
    try {
      const { outcome } = await this.client.data(DOCUMENTS[request.kind], {
        input: this.#inputOf(request),
      });
      return outcomeOf(outcome);
    } catch (error) {
      return { is: 'something else', what: String(error) };
    }
  }

  #inputOf(request: Request): unknown {
    if (request.kind === 'read') return this.ibans[request.of];
    const { key: idempotencyKey } = request;
    if (request.kind === 'credit') {
      const iban = this.ibans[request.to];
      return { iban, amount: decimal(request.amountMinor), description: '', idempotencyKey };
    }
    const creditTransfers = rowsOf(request).map(({ to, amountMinor }) => ({
      amount: decimal(amountMinor),
      counterpartyIban: this.ibans[to],
      counterpartyName: 'Bip Bip',
      description: '',
    }));
    return { organizationIban: this.ibans[request.from], creditTransfers, idempotencyKey };
  }
}

const BULK_INPUT = '$input: PerformBulkTransferInput!';

const DOCUMENTS = {
  perform: `mutation (${BULK_INPUT}) { outcome: performBulkTransfer(input: $input) {
    __typename
    ... on BulkTransferPerformed { replayed bulkTransfer { id } }
    ... on InsufficientFunds { balance { minorUnits } }
    ... on IdempotencyKeyReused { owner: bulkTransfer { id } }
  } }`,
  validate: `query (${BULK_INPUT}) { outcome: validateBulkTransfer(input: $input) {
    __typename valid balanceAfter { minorUnits }
    error { __typename ... on IdempotencyKeyReused { owner: bulkTransfer { id } } }
  } }`,
  credit: `mutation ($input: CreditAccountInput!) { outcome: creditAccount(input: $input) {
    __typename
    ... on AccountCredited { replayed entry { id } }
  } }`,
  read: 'query ($input: String!) { outcome: account(iban: $input) { __typename sequence balance { minorUnits } } }',
} as const;

// biome-ignore lint/suspicious/noExplicitAny: what comes back is what is read here
function outcomeOf(result: any): Outcome {
  const { __typename, replayed: isReplayed, error } = result;
  switch (error?.__typename ?? __typename) {
    case 'BulkTransferPerformed':
      return { is: 'done', id: result.bulkTransfer.id, isReplayed };
    case 'AccountCredited':
      return { is: 'done', id: result.entry.id, isReplayed };
    case 'IdempotencyKeyReused':
      return { is: 'key reused', id: (error ?? result).owner?.id };
    case 'Account':
      return {
        is: 'read',
        balanceMinor: Number(result.balance.minorUnits),
        sequence: Number(result.sequence),
      };
  }
  if (__typename === 'InsufficientFunds') {
    return { is: 'refused', balanceMinor: Number(result.balance.minorUnits) };
  }
  const isJudged = error === null || error?.__typename === 'InsufficientFunds';
  if (__typename === 'BulkTransferValidation' && isJudged) {
    const balanceAfterMinor = Number(result.balanceAfter.minorUnits);
    return { is: 'validated', balanceAfterMinor, isValid: result.valid };
  }
  return { is: 'something else', what: result };
}

function decimal(amountMinor: number): string {
  return (amountMinor / 100).toFixed(2);
}

/** Returns the rows of a bulk. A row to the debited account goes to an IBAN without an account instead. */
function rowsOf({ from, rows }: { readonly from: number; readonly rows: readonly Row[] }) {
  return rows.map((row) => (row.to === from ? { ...row, to: NOBODY } : row));
}

/** The account number of an IBAN that has no account here. */
const NOBODY = 3;

function otherContentOf(request: Request): Request {
  if (request.kind === 'read') return request;
  if (request.kind === 'credit') return { ...request, amountMinor: request.amountMinor + 1 };
  return { ...request, rows: [...request.rows, { to: NOBODY, amountMinor: 1 }] };
}

/** A performed request: it has an entry in each account that it moved. */
interface Performed {
  readonly answer: Answer;
  readonly id: string;
  /** The sequence of the entry and its expected amount, by account number. */
  readonly moves: ReadonlyMap<number, { readonly sequence: number; readonly amountMinor: number }>;
}

/**
 * Compares answers with the order of the ledger.
 * @returns a sentence for each contradiction with a serial order; an empty list if there is none
 */
export function contradictionsOf(
  answers: readonly Answer[],
  ledger: readonly (readonly Entry[])[],
): string[] {
  const performed = performedOf(answers, ledger);
  return [
    ...unexplainedMoves(performed, ledger),
    ...orderContradictions(performed),
    ...answers.flatMap((answer) => unexplainedAnswer(answer, performed, ledger)),
  ];
}

function performedOf(
  answers: readonly Answer[],
  ledger: readonly (readonly Entry[])[],
): Performed[] {
  return answers.flatMap((answer) => {
    const { request, outcome } = answer;
    if (outcome.is !== 'done' || outcome.isReplayed) return [];
    const { id } = outcome;
    const moves = new Map(
      [...amountsOf(request)].map(([number, amountMinor]) => {
        const entries = ledger[number] ?? [];
        const index = entries.findIndex((entry) => entry.id === id || entry.bulkId === id);
        return [number, { sequence: index + 1, amountMinor }];
      }),
    );
    return [{ answer, id, moves }];
  });
}

/** Returns the amounts that a request would move, by account number. */
function amountsOf(request: Request): Map<number, number> {
  const amounts = new Map<number, number>();
  if (request.kind === 'credit') amounts.set(request.to, request.amountMinor);
  if (request.kind !== 'perform' && request.kind !== 'validate') return amounts;
  amounts.set(request.from, -totalOf(request));
  for (const { to, amountMinor } of rowsOf(request)) {
    if (to < NOBODY) amounts.set(to, (amounts.get(to) ?? 0) + amountMinor);
  }
  return amounts;
}

function totalOf({ rows }: { readonly rows: readonly Row[] }): number {
  return rows.reduce((sum, { amountMinor }) => sum + amountMinor, 0);
}

/** Checks each account: every entry belongs to one request, has its amount, and is covered by the balance. */
function unexplainedMoves(
  performed: readonly Performed[],
  ledger: readonly (readonly Entry[])[],
): string[] {
  const faults: string[] = [];
  for (const [number, entries] of ledger.entries()) {
    let balanceMinor = entries[0]?.balanceAfterMinor ?? 0;
    for (const [index, entry] of entries.entries()) {
      if (index === 0) continue;
      const sequence = index + 1;
      const owners = performed.filter(({ moves }) => moves.get(number)?.sequence === sequence);
      const amountMinor = owners[0]?.moves.get(number)?.amountMinor ?? Number.NaN;
      balanceMinor += amountMinor;
      const isRight =
        owners.length === 1 &&
        entry.amountMinor === amountMinor &&
        entry.balanceAfterMinor === balanceMinor &&
        balanceMinor >= 0;
      if (!isRight) faults.push(`Entry ${sequence} of account ${number}: ${JSON.stringify(entry)}`);
    }
  }
  for (const { id, moves, answer } of performed) {
    const isMissing = [...moves.values()].some(({ sequence }) => sequence === 0);
    if (isMissing) faults.push(`${id} is not in the ledger: ${JSON.stringify(answer)}`);
  }
  return faults;
}

/** Checks that one serial order agrees with the order within each account and with the order in time. */
function orderContradictions(performed: readonly Performed[]): string[] {
  const isBefore = (one: Performed, other: Performed) =>
    one.answer.answeredAt < other.answer.sentAt ||
    [...one.moves].some(
      ([number, { sequence }]) => sequence < (other.moves.get(number)?.sequence ?? 0),
    );
  const left = new Set(performed);
  while (left.size > 0) {
    const first = [...left].find((one) => ![...left].some((other) => isBefore(other, one)));
    if (!first) return [`No serial order of ${[...left].map(({ id }) => id).join(', ')}`];
    left.delete(first);
  }
  return [];
}

function unexplainedAnswer(
  answer: Answer,
  performed: readonly Performed[],
  ledger: readonly (readonly Entry[])[],
): string[] {
  const { request, outcome } = answer;
  const isPossible = statesOf(answer, performed, ledger).some((state) =>
    isAnswerIn(state, request, outcome),
  );
  return isPossible ? [] : [`No state for ${JSON.stringify(answer)}`];
}

/** A state of the account that a request is about. */
interface AccountState {
  readonly sequence: number;
  readonly balanceMinor: number;
  /** The earlier request with the same idempotency key, if there is one in this state. */
  readonly earlier: Performed | undefined;
}

/** Returns the account states between a request and its answer. */
function statesOf(
  { request, sentAt, answeredAt }: Answer,
  performed: readonly Performed[],
  ledger: readonly (readonly Entry[])[],
): AccountState[] {
  const number = accountOf(request);
  const entries = ledger[number] ?? [];
  const sequencesOf = (which: readonly Performed[]) =>
    which.flatMap(({ moves }) => moves.get(number)?.sequence ?? []);
  const first = Math.max(
    1,
    ...sequencesOf(performed.filter((one) => one.answer.answeredAt < sentAt)),
  );
  const last = Math.min(
    entries.length,
    ...sequencesOf(performed.filter((one) => one.answer.sentAt > answeredAt)).map(
      (next) => next - 1,
    ),
  );
  const keyOwner = performed.find(({ answer }) => hasSameKey(answer.request, request));
  return entries.slice(first - 1, last).map(({ balanceAfterMinor }, offset) => {
    const sequence = first + offset;
    const isKnown = (keyOwner?.moves.get(number)?.sequence ?? Number.POSITIVE_INFINITY) <= sequence;
    return { sequence, balanceMinor: balanceAfterMinor, earlier: isKnown ? keyOwner : undefined };
  });
}

function accountOf(request: Request): number {
  if (request.kind === 'read') return request.of;
  return request.kind === 'credit' ? request.to : request.from;
}

/** Tells whether two requests share a key. An account's bulks and its credits have separate keys. */
function hasSameKey(one: Request, other: Request): boolean {
  if (one.kind === 'read' || other.kind === 'read' || one.key === undefined) return false;
  const isSameKind = (one.kind === 'credit') === (other.kind === 'credit');
  return isSameKind && one.key === other.key && accountOf(one) === accountOf(other);
}

function contentOf(request: Request): string {
  return JSON.stringify({ ...request, kind: undefined });
}

/** Tells whether the model gives this outcome in this state. */
function isAnswerIn(state: AccountState, request: Request, outcome: Outcome): boolean {
  const { balanceMinor, sequence, earlier } = state;
  const isReplay = earlier && contentOf(earlier.answer.request) === contentOf(request);
  const totalMinor = 'rows' in request ? totalOf(request) : 0;
  switch (outcome.is) {
    case 'done': {
      if (outcome.isReplayed) return isReplay === true && earlier?.id === outcome.id;
      // Another check covers the position in the ledger; the key is free before that position.
      return earlier === undefined || earlier.id === outcome.id;
    }
    case 'refused':
      return !earlier && outcome.balanceMinor === balanceMinor && balanceMinor < totalMinor;
    case 'key reused':
      return (
        earlier !== undefined &&
        !isReplay &&
        (request.kind === 'credit' || outcome.id === earlier.id)
      );
    case 'validated': {
      const { balanceAfterMinor, isValid } = outcome;
      if (isReplay) return isValid;
      const isPredicted = !earlier && balanceAfterMinor === balanceMinor - totalMinor;
      return isPredicted && isValid === balanceAfterMinor >= 0;
    }
    case 'read':
      return outcome.balanceMinor === balanceMinor && outcome.sequence === sequence;
    case 'something else':
      return false;
  }
}
