/** Tests that the types of events are those of the documented schemas. */
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { type EventType, routingKindOf } from './event.js';

/** Does not compile if a type is missing. */
const ROUTING_KINDS: Readonly<Record<EventType, string>> = {
  'virement.bulk-transfer.performed.v1': 'bulk-transfer.performed',
  'virement.transfer.performed.v1': 'transfer.performed',
  'virement.account.credited.v1': 'account.credited',
  'virement.transfer.received.v1': 'transfer.received',
  'virement.order.changed.v1': 'order.changed',
};

test('every documented event has a type', () => {
  const documented = readdirSync('docs/events').map((file) => file.replace('.schema.json', ''));

  expect(Object.keys(ROUTING_KINDS).sort()).toEqual(documented.sort());
});

test.each(Object.entries(ROUTING_KINDS))('events of %s have the routing kind %s', (type, kind) => {
  expect(routingKindOf(type as EventType)).toBe(kind);
  // The binding of an account for all types relies on it.
  expect(kind.split('.')).toHaveLength(2);
});
