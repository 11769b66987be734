/**
 * Compares concurrent requests through the front door with a model in memory that follows the order of the ledger.
 * Every answer must have its place in that order. A performed request has the place of its entries. Any other answer
 * needs a place between its request and its answer where the model answers the same.
 */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ibanOf } from '../support/builders.js';
import { Client } from '../support/client.js';
import { CHAOS_SECONDS, CHAOS_SEED, CHAOS_TIMEOUT_MS } from '../support/seeded-random.js';
import { startServer } from '../support/server.js';
import { contradictionsOf, History, type Request } from './support/history.js';
import { newIbans } from './support/load.js';

/** The number of runs in the short form. */
const RUNS = 10;

/** A balance that is small enough to refuse some bulks, and large enough to perform most. */
const OPENING_MINOR = 10_000;

const OUTSIDE = 2;

/** Accounts by number: first the accounts of the run, then IBANs without an account. */
const account = fc.nat(OUTSIDE);
const key = fc.option(fc.constantFrom('a', 'b', 'c', 'd'), { nil: undefined, freq: 2 });
const amountMinor = fc.oneof(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 8_000 }));

const rows = fc.array(fc.record({ to: fc.nat(OUTSIDE + 2), amountMinor }), {
  minLength: 1,
  maxLength: 4,
});

const bulk = fc.record({ from: account, key, rows });

const request: fc.Arbitrary<Request> = fc.oneof(
  { weight: 6, arbitrary: bulk.map((facts) => ({ kind: 'perform', ...facts }) as const) },
  { weight: 2, arbitrary: bulk.map((facts) => ({ kind: 'validate', ...facts }) as const) },
  {
    weight: 2,
    arbitrary: fc
      .record({ to: account, key, amountMinor })
      .map((facts) => ({ kind: 'credit', ...facts }) as const),
  },
  { weight: 1, arbitrary: account.map((of) => ({ kind: 'read', of }) as const) },
);

interface Model {
  sent: number;
}

/** Sends a request, and does not wait for its answer. */
class Send implements fc.AsyncCommand<Model, History> {
  constructor(readonly request: Request) {}
  check = () => true;
  async run(model: Model, history: History): Promise<void> {
    model.sent += 1;
    history.send(this.request);
  }
  toString = () => JSON.stringify(this.request);
}

/** Repeats an earlier request, answered or not, with the same content or another. */
class Resend implements fc.AsyncCommand<Model, History> {
  constructor(
    readonly which: number,
    readonly isSame: boolean,
  ) {}
  check = ({ sent }: Readonly<Model>) => sent > 0;
  async run(model: Model, history: History): Promise<void> {
    history.sendAgain(this.which % model.sent, this.isSame);
    model.sent += 1;
  }
  toString = () => `resend(${this.which}, ${this.isSame ? 'the same' : 'another content'})`;
}

/** Waits for some answers, so that the next request comes after them. */
class Await implements fc.AsyncCommand<Model, History> {
  constructor(readonly isAll: boolean) {}
  check = ({ sent }: Readonly<Model>) => sent > 0;
  run = (_: Model, history: History) => (this.isAll ? history.settled() : history.anyAnswer());
  toString = () => (this.isAll ? 'await all' : 'await one');
}

const commands = fc.commands(
  [
    request.map((sent) => new Send(sent)),
    request.map((sent) => new Send(sent)),
    request.map((sent) => new Send(sent)),
    fc.tuple(fc.nat(50), fc.boolean()).map(([which, isSame]) => new Resend(which, isSame)),
    fc.boolean().map((isAll) => new Await(isAll)),
  ],
  { maxCommands: 60, size: 'max' },
);

test(
  'every answer to concurrent requests has its place in one serial order',
  async () => {
    const server = await startServer({ SEED_DEMO: 'false', LOCK_TIMEOUT_MS: '60000' });
    const client = new Client(server.url);
    let answers = 0;
    await fc.assert(
      fc.asyncProperty(commands, async (run) => {
        const ibans = newIbans(OUTSIDE + 1);
        const history = new History(client, [...ibans, ibanOf(1), ibanOf(2)]);
        await history.openAccounts(OPENING_MINOR, OUTSIDE + 1);
        await fc.asyncModelRun(() => ({ model: { sent: 0 }, real: history }), run);
        await history.settled();
        const ledger = await history.ledger(OUTSIDE + 1);
        expect(contradictionsOf(history.answers, ledger)).toEqual([]);
        answers += history.answers.length;
      }),
      {
        seed: CHAOS_SEED,
        // The order of arrival differs each time, so a smaller history would rarely fail again.
        endOnFailure: true,
        ...(CHAOS_SECONDS > 0
          ? { numRuns: 1e9, interruptAfterTimeLimit: CHAOS_SECONDS * 1_000 }
          : { numRuns: RUNS }),
      },
    );
    console.log(`histories: seed ${CHAOS_SEED}, ${answers} answers without contradiction`);
    expect(answers).toBeGreaterThan(RUNS);
  },
  CHAOS_TIMEOUT_MS,
);
