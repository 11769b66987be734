/**
 * Executes each event of a subscription once for the subscribers that ask the same of it. Subscribers of one account
 * get the same event objects from the feed. Subscribers share a result if they sent the same document with the same
 * variables, and have the same roles and the same visible organizations. A result therefore never reaches a caller who
 * would not have got it alone. Rows beside the event are shown as they were when its first subscriber got it.
 *
 * Variables that only the root field takes do not count, because they select events and do not change what an event
 * shows. A result with errors is not shared: the errors may concern the first subscriber alone, for example because it
 * has disconnected. Subscribers of one caller wait for an execution in progress. Other callers do not, because the
 * reads of a caller wait in the caller's own turns.
 *
 * The kept results are also serialised once. They have a limit in bytes. The least recently used results are dropped
 * first, and later subscribers execute again.
 */
import { createHash } from 'node:crypto';
import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  getOperationAST,
  Kind,
  print,
  type VariableNode,
  visit,
} from 'graphql';
import { LRUCache } from 'lru-cache';
import { visibleOrganizations } from '../../domain/caller.js';
import type { EventOrigin } from '../../resolvers/context.js';
import { callerKeyOf } from '../limits/caller-key.js';
import type { OperationContext } from '../operation-context.js';

/** The largest size of all kept results, in characters of JSON. In memory a result takes about four times as much. */
const KEPT_CHARACTERS_MAX = 6 * 1_024 * 1_024;

/** The largest size of a result that is kept, in characters of JSON. */
const RESULT_CHARACTERS_MAX = 128 * 1_024;

export interface SubscriptionArgs extends ExecutionArgs {
  readonly contextValue: Pick<OperationContext, 'source' | 'eventOrigin'>;
}

/** A result without errors, and the origin of its event. */
interface SharedResult {
  readonly result: ExecutionResult;
  readonly origin: EventOrigin;
}

/** The results of one event, by what subscribers ask of it. */
interface EventResults {
  readonly kept: Map<string, SharedResult>;
  /** Executions in progress, by what is asked and the caller; undefined if a result cannot be shared. */
  readonly inProgress: Map<string, Promise<SharedResult | undefined>>;
}

/** What a subscriber asks of each event. */
interface Question {
  readonly key: string;
  /** The key, together with the caller. */
  readonly callerKey: string;
}

export class SharedResults {
  readonly #byEvent = new WeakMap<object, EventResults>();
  /** The JSON of kept results. */
  readonly #texts = new WeakMap<ExecutionResult, string>();
  /** All kept results, with the function that drops a result from its event. */
  readonly #kept: LRUCache<SharedResult, () => void>;

  constructor(keptCharactersMax = KEPT_CHARACTERS_MAX) {
    this.#kept = new LRUCache({
      maxSize: keptCharactersMax,
      maxEntrySize: Math.min(RESULT_CHARACTERS_MAX, keptCharactersMax),
      dispose: (drop) => drop(),
    });
  }

  /**
   * Subscribes like GraphQL.js.
   * @returns the results; a single result with errors if the subscription cannot begin
   */
  async subscribe(
    args: SubscriptionArgs,
  ): Promise<AsyncIterableIterator<ExecutionResult> | ExecutionResult> {
    const source = await createSourceEventStream(args);
    if (!(Symbol.asyncIterator in source)) return source;
    const events = source[Symbol.asyncIterator]();
    const question = questionOf(args);
    const results: AsyncIterableIterator<ExecutionResult> = {
      next: async () => {
        const { done, value } = await events.next();
        if (done) return { done, value: undefined };
        try {
          return { value: await this.#resultOf(value, question, args) };
        } catch (error) {
          await events.return?.();
          throw error;
        }
      },
      return: async () => {
        await events.return?.();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => results,
    };
    return results;
  }

  /** Returns the JSON of a result that a subscriber got. */
  jsonOf(result: ExecutionResult): string {
    return this.#texts.get(result) ?? JSON.stringify(result);
  }

  async #resultOf(
    event: unknown,
    { key, callerKey }: Question,
    args: SubscriptionArgs,
  ): Promise<ExecutionResult> {
    if (typeof event !== 'object' || event === null) throw new Error('An event is not an object');
    const results = this.#resultsOf(event);
    const inProgress = results.inProgress.get(callerKey);
    const shared = results.kept.get(key) ?? (inProgress && (await inProgress));
    if (shared) {
      this.#kept.get(shared);
      args.contextValue.eventOrigin = shared.origin;
      return shared.result;
    }
    const executing = executeEvent(event, args);
    if (!results.inProgress.has(callerKey)) {
      const sharing = executing.then(
        (executed) => this.#keep(results, key, executed),
        () => undefined,
      );
      results.inProgress.set(callerKey, sharing);
      void sharing.then(() => results.inProgress.delete(callerKey));
    }
    return (await executing).result;
  }

  #resultsOf(event: object): EventResults {
    const known = this.#byEvent.get(event);
    if (known) return known;
    const results: EventResults = { kept: new Map(), inProgress: new Map() };
    this.#byEvent.set(event, results);
    return results;
  }

  #keep({ kept }: EventResults, key: string, executed: SharedResult): SharedResult | undefined {
    if (executed.result.errors) return undefined;
    // Another caller may have kept the same result meanwhile.
    if (kept.has(key)) return executed;
    kept.set(key, executed);
    const text = JSON.stringify(executed.result);
    // A result that is too large is dropped at once.
    this.#kept.set(executed, () => void kept.delete(key), { size: text.length });
    if (this.#kept.has(executed)) this.#texts.set(executed.result, text);
    else kept.delete(key);
    return executed;
  }
}

async function executeEvent(event: object, args: SubscriptionArgs): Promise<SharedResult> {
  const result = await execute({ ...args, rootValue: event });
  return { result, origin: args.contextValue.eventOrigin };
}

/** Returns what is equal for subscribers to whom an event shows the same. */
function questionOf(args: SubscriptionArgs): Question {
  const { document, operationName, variableValues, contextValue } = args;
  const { source } = contextValue;
  const names = variablesBelowRoot(document, operationName);
  const variables = Object.entries(variableValues ?? {}).filter(([name]) => names.has(name));
  const organizations = visibleOrganizations(source.caller);
  const text = JSON.stringify([
    document.loc?.source.body ?? print(document),
    operationName ?? null,
    variables.toSorted(([one], [other]) => (one < other ? -1 : 1)),
    source.caller.roles.toSorted(),
    organizations === 'all' ? organizations : organizations.toSorted(),
  ]);
  // Each subscriber keeps the key. A document is much longer than its hash.
  const key = createHash('sha256').update(text).digest('base64');
  return { key, callerKey: `${key} ${callerKeyOf(source)}` };
}

/** Returns the names of the variables that fields below the root field use. */
function variablesBelowRoot(
  document: DocumentNode,
  operationName: string | null | undefined,
): ReadonlySet<string> {
  const names = new Set<string>();
  const collect = { Variable: ({ name }: VariableNode) => void names.add(name.value) };
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) visit(definition, collect);
  }
  for (const selection of getOperationAST(document, operationName)?.selectionSet.selections ?? []) {
    const node = selection.kind === Kind.FIELD ? selection.selectionSet : selection;
    if (node) visit(node, collect);
  }
  return names;
}
