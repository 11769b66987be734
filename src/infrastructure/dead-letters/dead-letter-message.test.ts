import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isStoredReason } from '../../domain/dead-letter.js';
import { readDeadLetter } from './dead-letter-message.js';

const NOW = new Date('2026-11-28T01:00:00.000Z');
const content = Buffer.from('{}');

const read = (headers: Record<string, unknown>) =>
  readDeadLetter({ content, messageId: 'e1', type: 'a type', headers }, NOW);

describe('a dead letter of RabbitMQ', () => {
  const death = {
    queue: 'billing',
    reason: 'delivery_limit',
    count: 2,
    time: { '!': 'timestamp', value: 1_795_827_600 },
  };

  test('has the queue, the reason and the time of the latest death', () => {
    const earlier = { ...death, queue: 'billing.retry', reason: 'expired' };

    expect(read({ 'x-death': [death, earlier] })).toMatchObject({
      consumer: 'billing',
      reason: 'DELIVERY_LIMIT',
      attempts: 2,
      lastError: null,
      firstFailedAt: new Date(1_795_827_600_000),
      lastFailedAt: new Date(1_795_827_600_000),
    });
  });

  test('has the headers of its consumer if it has both', () => {
    const headers = { 'x-death': [death], 'x-virement-consumer': 'mailing' };

    expect(read(headers)).toMatchObject({ consumer: 'mailing', reason: 'UNKNOWN', attempts: 0 });
  });
});

test('times that are missing, malformed or out of range are those of the arrival', () => {
  for (const time of [undefined, 'yesterday', '+012026-01-01T00:00:00Z', '1950-01-01', 5]) {
    expect(
      read({ 'x-virement-consumer': 'billing', 'x-virement-last-failed-at': time }),
    ).toMatchObject({ firstFailedAt: NOW, lastFailedAt: NOW });
  }
});

test('a failure is never first after it is last', () => {
  const headers = {
    'x-virement-consumer': 'billing',
    'x-virement-first-failed-at': '2026-11-27T10:00:00Z',
    'x-virement-last-failed-at': '2026-11-27T09:00:00Z',
  };

  expect(read(headers).firstFailedAt).toEqual(new Date('2026-11-27T09:00:00Z'));
});

test('a table in place of a number counts as none', () => {
  const table = { toString: 0 };
  const headers = {
    'x-virement-consumer': 'billing',
    'x-virement-attempts': table,
    'x-virement-last-failed-at': { '!': 'timestamp', value: table },
  };

  expect(read(headers)).toMatchObject({ attempts: 0, lastFailedAt: NOW });
});

test('every text fits its column, whatever the message has', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 600 }), fc.anything(), (text, any) => {
      const headers = {
        'x-virement-consumer': text,
        'x-virement-reason': text,
        'x-virement-error': text.repeat(3),
        'x-virement-attempts': any,
        'x-virement-first-failed-at': { '!': 'timestamp', value: any },
        'x-death': any,
      };
      const letter = readDeadLetter({ content, messageId: text, type: any, headers }, NOW);

      for (const name of [letter.consumer, letter.messageId, letter.type]) {
        expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
        expect(name).not.toBe('');
        expect(name.isWellFormed()).toBe(true);
      }
      expect([...(letter.lastError ?? '')].length).toBeLessThanOrEqual(1_000);
      expect(isStoredReason(letter.reason)).toBe(true);
      expect(letter.attempts).toBeGreaterThanOrEqual(0);
    }),
  );
});
