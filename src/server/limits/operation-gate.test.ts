import { readFileSync } from 'node:fs';
import { buildSchema, parse } from 'graphql';
import { expect, test } from 'vitest';
import { loadConfig } from '../../config.js';
import { makeLogger } from '../../infrastructure/observability/logger.js';
import { TrustedDocuments } from '../access/trusted-documents.js';
import { isErrorResponse } from '../error-response.js';
import { RowCharger } from '../operation-context.js';
import { OperationGate, resolveOperation, type StreamPlace } from './operation-gate.js';

const schema = buildSchema(
  readFileSync(new URL('../../schema/schema.graphql', import.meta.url), 'utf8'),
);
const BYTES_PER_CALLER = 8 * 1_024 * 1_024;
const BYTES_PER_ACCOUNT = 16;

function makeGate(env: Readonly<Record<string, string>>): OperationGate {
  const documents = new TrustedDocuments('off', {}, makeLogger('silent'));
  return new OperationGate(schema, loadConfig(env), documents);
}

function begin(gate: OperationGate, bytes = 0): StreamPlace {
  const operation = resolveOperation(parse('subscription { balanceUpdated { sequence } }'));
  if (!operation) throw new Error('There is no operation');
  const place = gate.begin(operation, 'a caller', { bytes });
  if (isErrorResponse(place)) throw new Error(place.message);
  return place;
}

test('accounts that subscriptions follow take memory of their caller until the subscriptions end', () => {
  const gate = makeGate({ RATE_LIMIT_COST_PER_SECOND: '0' });
  const [first, second] = [begin(gate), begin(gate)];
  expect(first.followAccounts(BYTES_PER_CALLER / BYTES_PER_ACCOUNT - 1)).toBeUndefined();

  expect(second.followAccounts(2)).toMatchObject({ code: 'TOO_MANY_SUBSCRIPTIONS' });
  expect(second.followAccounts(1)).toBeUndefined();
  expect(second.followAccounts(1)).toMatchObject({ code: 'TOO_MANY_SUBSCRIPTIONS' });

  first.release();
  expect(second.followAccounts(2)).toBeUndefined();
  second.release();
  // An account that is found after its subscription has ended takes no memory.
  expect(second.followAccounts(1_000)).toBeUndefined();
  expect(begin(gate, BYTES_PER_CALLER).release).toBeTypeOf('function');
});

test('each account that a subscription follows costs one unit', () => {
  const gate = makeGate({ RATE_LIMIT_COST_PER_SECOND: '1', RATE_LIMIT_BURST: '10000' });
  const place = begin(gate);

  expect(place.followAccounts(9_000)).toBeUndefined();
  expect(place.followAccounts(9_000)).toMatchObject({ code: 'RATE_LIMITED' });
});

test('the rows that an operation sums count together, and each event of a subscription counts anew', () => {
  const gate = makeGate({ RATE_LIMIT_COST_PER_SECOND: '0', OPERATION_COST_MAX: '10' });
  const rows = new RowCharger(gate, 'a caller');
  rows.charge(1_000);
  rows.charge(1_000);
  expect(() => rows.charge(200)).toThrow(
    expect.objectContaining({ extensions: { code: 'TOO_EXPENSIVE', limit: 10, requested: 11 } }),
  );

  rows.beginEvent();

  rows.charge(2_000);
  expect(() => rows.charge(200)).toThrow();
});
