/** The gate over HTTP: before Apollo and before server-sent events, and within Apollo before execution. */
import type { ApolloServerPlugin } from '@apollo/server';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { originOf } from '../access/access.js';
import type { DocumentRequest } from '../access/trusted-documents.js';
import type { OperationContext } from '../operation-context.js';
import { answerRefusal, httpErrorOf, isRefusal } from '../refusal.js';
import { OVERLOADED } from './body-budget.js';
import { callerKeyOf } from './caller-key.js';
import type { Connections } from './connections.js';
import { unitsPaidBy } from './json-body.js';
import { type Cost, type OperationGate, resolveOperation } from './operation-gate.js';

const PATHS: readonly string[] = ['/graphql', '/graphql/stream'];

/** Parameters of a request, which are an object of their own and may be changed. */
type Parameters = Record<string, unknown>;

/** Refuses what is too much before it is validated, and puts the text of a document in the place of its id. */
export function admitOperations(
  app: FastifyInstance,
  gate: OperationGate,
  connections: Connections,
): void {
  app.addHook('preHandler', async (request, reply) => {
    if (!PATHS.includes(request.routeOptions.url ?? '')) return;
    if (connections.isOverloaded(request)) return answerRefusal(reply, OVERLOADED);
    if (request.method !== 'POST') makeUnambiguous(request);
    const parameters = parametersOf(request);
    const asked = parameters ? documentRequestOf(request, parameters) : {};
    const text = gate.open(asked, callerKeyOf(originOf(request)), unitsPaidBy(request));
    if (isRefusal(text)) return answerRefusal(reply, text);
    if (!parameters) return;
    if (gate.trusted.mode !== 'off' && text !== undefined) putText(request, parameters, text);
  });
}

/** @returns undefined where a request has none, as its handler will say: an array, a text */
function parametersOf({ method, query, body }: FastifyRequest): Parameters | undefined {
  const given = method === 'POST' ? body : query;
  return isParameters(given) ? given : undefined;
}

function isParameters(given: unknown): given is Parameters {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

/** By GET, extensions are JSON in the address. */
function documentRequestOf({ method }: FastifyRequest, parameters: Parameters): DocumentRequest {
  const { extensions } = parameters;
  if (method === 'POST' || typeof extensions !== 'string') return parameters;
  try {
    return { ...parameters, extensions: JSON.parse(extensions) };
  } catch {
    return parameters;
  }
}

/** Apollo knows neither documentId nor a store that nobody may add to. */
function putText(request: FastifyRequest, parameters: Parameters, text: string): void {
  parameters.query = text;
  delete parameters.documentId;
  delete parameters.extensions;
  if (request.method !== 'POST') putAddress(request, parameters);
}

/** Apollo reads the address by itself, and not as Fastify does: both shall read what was judged. */
function makeUnambiguous(request: FastifyRequest): void {
  const { searchParams } = new URL(request.url, 'http://localhost');
  const parameters = Object.fromEntries(searchParams);
  request.query = parameters;
  putAddress(request, parameters);
}

function putAddress(request: FastifyRequest, parameters: Parameters): void {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) search.set(name, String(value));
  request.raw.url = `${request.url.split('?')[0]}?${search}`;
}

/** Charges an operation that was found valid, and says in its response what it cost. */
export function costPlugin(gate: OperationGate): ApolloServerPlugin<OperationContext> {
  return {
    requestDidStart: async () => {
      let cost: Cost | undefined;
      return {
        didResolveOperation: async ({ document, operationName, request, contextValue }) => {
          const operation = resolveOperation(document, operationName, request.variables);
          if (!operation) return;
          const { origin, unitsPaid } = contextValue;
          const charged = gate.charge(operation, callerKeyOf(origin), unitsPaid);
          if (isRefusal(charged)) throw httpErrorOf(charged);
          cost = charged;
        },
        willSendResponse: async ({ response: { body } }) => {
          if (!cost || body.kind !== 'single') return;
          body.singleResult.extensions = { ...body.singleResult.extensions, cost };
        },
      };
    },
  };
}
