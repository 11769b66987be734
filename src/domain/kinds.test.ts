import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { EVENT_KINDS, LEDGER_ENTRY_KINDS } from './kinds.js';

const documentation = (path: string) => new URL(`../../docs/${path}`, import.meta.url);
const schemaNameOf = (kind: string) => `virement.${kind}.v1.schema.json`;
const schemaOf = (kind: string) =>
  JSON.parse(readFileSync(documentation(`events/${schemaNameOf(kind)}`), 'utf8'));

describe('the documentation of events', () => {
  test('has the JSON Schema of each kind, and no other', () => {
    expect(readdirSync(documentation('events')).sort()).toEqual(
      EVENT_KINDS.map(schemaNameOf).sort(),
    );
  });

  test.each(EVENT_KINDS)('has a schema of %s that is about this kind', (kind) => {
    const { title, properties } = schemaOf(kind);

    expect([title, properties.type.const]).toEqual([`virement.${kind}.v1`, `virement.${kind}.v1`]);
  });

  test.each(EVENT_KINDS)('names the routing key, the schema and an example of %s', (kind) => {
    const text = readFileSync(documentation('events.md'), 'utf8');

    for (const part of [
      `\`${kind}.<account IBAN>\``,
      `[${kind}](events/${schemaNameOf(kind)})`,
      `### virement.${kind}.v1`,
    ]) {
      expect(text).toContain(part);
    }
  });

  test('lists the kinds of ledger entries that credit an account', () => {
    const kinds: readonly string[] =
      schemaOf('account.credited').properties.data.properties.kind.enum;

    expect([...kinds, 'BULK_TRANSFER'].sort()).toEqual([...LEDGER_ENTRY_KINDS].sort());
  });
});
