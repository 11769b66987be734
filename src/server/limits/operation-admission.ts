/** Applies the operation gate to HTTP: before Apollo, before server-sent events, and inside Apollo before execution. */
import type { ApolloServerPlugin } from '@apollo/server';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { requestSourceOf } from '../access/access.js';
import type { DocumentRequest } from '../access/trusted-documents.js';
import { httpErrorOf, isErrorResponse, sendErrorResponse } from '../error-response.js';
import type { OperationContext } from '../operation-context.js';
import { OVERLOADED } from './body-budget.js';
import { callerKeyOf } from './caller-key.js';
import type { Connections } from './connections.js';
import { unitsPaidBy } from './json-body.js';
import { type Cost, type OperationGate, resolveOperation } from './operation-gate.js';

const PATHS: readonly string[] = ['/graphql', '/graphql/stream'];

/** The parameters of a request, in an object of their own that may be modified. */
type Parameters = Record<string, unknown>;

/** Refuses an operation over a limit before it is validated, and replaces the id of a document with its text. */
export function admitOperations(
  app: FastifyInstance,
  gate: OperationGate,
  connections: Connections,
): void {
  app.addHook('preHandler', async (request, reply) => {
    if (!PATHS.includes(request.routeOptions.url ?? '')) return;
    if (connections.isOverloaded(request)) return sendErrorResponse(reply, OVERLOADED);
    if (request.method !== 'POST') makeUnambiguous(request);
    const parameters = parametersOf(request);
    const asked = parameters ? documentRequestOf(request, parameters) : {};
    const text = gate.open(asked, callerKeyOf(requestSourceOf(request)), unitsPaidBy(request));
    if (isErrorResponse(text)) return sendErrorResponse(reply, text);
    if (!parameters) return;
    if (gate.trusted.mode !== 'off' && text !== undefined) putText(request, parameters, text);
  });
}

/** Returns the parameters of a request; undefined for a body such as an array or a text, which the handler reports. */
function parametersOf({ method, query, body }: FastifyRequest): Parameters | undefined {
  const given = method === 'POST' ? body : query;
  return isParameters(given) ? given : undefined;
}

function isParameters(given: unknown): given is Parameters {
  return typeof given === 'object' && given !== null && !Array.isArray(given);
}

/** Returns the document request. A GET has its extensions as JSON in the address. */
function documentRequestOf({ method }: FastifyRequest, parameters: Parameters): DocumentRequest {
  const { extensions } = parameters;
  if (method === 'POST' || typeof extensions !== 'string') return parameters;
  try {
    return { ...parameters, extensions: JSON.parse(extensions) };
  } catch {
    return parameters;
  }
}

/** Replaces the parameters with a text. Apollo supports neither documentId nor a read-only store of documents. */
function putText(request: FastifyRequest, parameters: Parameters, text: string): void {
  parameters.query = text;
  delete parameters.documentId;
  delete parameters.extensions;
  if (request.method !== 'POST') putAddress(request, parameters);
}

/**
 * Rewrites the address of a request from its checked parameters. Apollo parses the address itself, in another way than
 * Fastify, and both must read the same values.
 */
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

/** Charges a valid operation, and reports its cost in the response. */
export function costPlugin(gate: OperationGate): ApolloServerPlugin<OperationContext> {
  return {
    requestDidStart: async () => {
      let cost: Cost | undefined;
      return {
        didResolveOperation: async ({ document, operationName, request, contextValue }) => {
          const operation = resolveOperation(document, operationName, request.variables);
          if (!operation) return;
          const { source, unitsPaid } = contextValue;
          const charged = gate.charge(operation, callerKeyOf(source), unitsPaid);
          if (isErrorResponse(charged)) throw httpErrorOf(charged);
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
