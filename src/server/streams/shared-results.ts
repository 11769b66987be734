/**
 * Executes each event of a subscription once for all subscribers that ask the same of it. Subscribers of one account
 * get the same event objects from the feed. Subscribers share a result if they sent the same document with the same
 * variables, and have the same roles and the same visible organizations. A result therefore never reaches a caller who
 * would not have got it alone. Rows beside the event are shown as they were when its first subscriber got it.
 *
 * Variables that only the root field takes do not count, because they select events and do not change what an event
 * shows. A result with errors is not shared: the errors may concern the first subscriber alone, for example because it
 * has disconnected.
 */
import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  getOperationAST,
  Kind,
  print,
  visit,
} from 'graphql';
import { visibleOrganizations } from '../../domain/caller.js';
import type { OperationContext } from '../operation-context.js';

/** The largest number of different results of one event that are shared. Other subscribers execute by themselves. */
const RESULTS_PER_EVENT_MAX = 16;

export interface SubscriptionArgs extends ExecutionArgs {
  readonly contextValue: Pick<OperationContext, 'source' | 'eventCursor'>;
}

/** A result, and the cursor of its event. */
interface EventResult {
  readonly result: ExecutionResult;
  readonly cursor: string | undefined;
}

export class SharedResults {
  /** The results of the events that a feed still keeps, by what the subscribers ask of them. */
  readonly #byEvent = new WeakMap<object, Map<string, Promise<EventResult>>>();

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
    const key = keyOf(args);
    const results: AsyncIterableIterator<ExecutionResult> = {
      next: async () => {
        const { done, value } = await events.next();
        if (done) return { done, value: undefined };
        return { value: await this.#resultOf(value, key, args) };
      },
      return: async () => {
        await events.return?.();
        return { done: true, value: undefined };
      },
      [Symbol.asyncIterator]: () => results,
    };
    return results;
  }

  async #resultOf(event: unknown, key: string, args: SubscriptionArgs): Promise<ExecutionResult> {
    if (typeof event !== 'object' || event === null) throw new Error('An event is not an object');
    const shared = this.#sharedOf(event);
    const known = shared.get(key);
    if (known) {
      const { result, cursor } = await known;
      if (!result.errors) {
        args.contextValue.eventCursor = cursor;
        return result;
      }
    }
    const executing = executeEvent(event, args);
    if (!known && shared.size < RESULTS_PER_EVENT_MAX) shared.set(key, executing);
    return (await executing).result;
  }

  #sharedOf(event: object): Map<string, Promise<EventResult>> {
    const known = this.#byEvent.get(event);
    if (known) return known;
    const shared = new Map<string, Promise<EventResult>>();
    this.#byEvent.set(event, shared);
    return shared;
  }
}

async function executeEvent(event: object, args: SubscriptionArgs): Promise<EventResult> {
  const result = await execute({ ...args, rootValue: event });
  return { result, cursor: args.contextValue.eventCursor };
}

/** Returns a text that is equal for subscribers to whom an event shows the same. */
function keyOf({
  document,
  operationName,
  variableValues,
  contextValue,
}: SubscriptionArgs): string {
  const { caller } = contextValue.source;
  const names = variablesBelowRoot(document, operationName);
  const variables = Object.entries(variableValues ?? {}).filter(([name]) => names.has(name));
  const organizations = visibleOrganizations(caller);
  return JSON.stringify([
    document.loc?.source.body ?? print(document),
    operationName ?? null,
    variables.toSorted(([one], [other]) => (one < other ? -1 : 1)),
    caller.roles.toSorted(),
    organizations === 'all' ? organizations : organizations.toSorted(),
  ]);
}

/** Returns the names of the variables that fields below the root field use. */
function variablesBelowRoot(
  document: DocumentNode,
  operationName: string | null | undefined,
): ReadonlySet<string> {
  const names = new Set<string>();
  const collect = {
    Variable: ({ name }: { readonly name: { readonly value: string } }) =>
      void names.add(name.value),
  };
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) visit(definition, collect);
  }
  for (const selection of getOperationAST(document, operationName)?.selectionSet.selections ?? []) {
    const node = selection.kind === Kind.FIELD ? selection.selectionSet : selection;
    if (node) visit(node, collect);
  }
  return names;
}
