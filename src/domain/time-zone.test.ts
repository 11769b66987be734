import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { dayOfIn, endOfDay, inTimeZone, isDay, isTimeZone, startOfDay } from './time-zone.js';

const HOUR_MS = 3_600_000;

describe('a day', () => {
  test.each([
    ['2026-03-28', 'Europe/Berlin', 24],
    ['2026-03-29', 'Europe/Berlin', 23],
    ['2026-10-25', 'Europe/Berlin', 25],
    ['2026-03-29', 'UTC', 24],
    // The clocks go forward at midnight, so the day begins at 01:00.
    ['2024-04-26', 'Africa/Cairo', 23],
    // Half an hour.
    ['2026-10-04', 'Australia/Lord_Howe', 23.5],
    // Samoa skipped a day.
    ['2011-12-30', 'Pacific/Apia', 0],
  ])('%s in %s has %s hours', (day, timeZone, hours) => {
    const length = endOfDay(day, timeZone).getTime() - startOfDay(day, timeZone).getTime();
    expect(length / HOUR_MS).toBe(hours);
  });

  test('begins when the day before ends, in any zone', () => {
    const zones = fc.constantFrom(...Intl.supportedValuesOf('timeZone'), 'UTC');
    const days = fc.date({
      min: new Date('1970-01-02'),
      max: new Date('2199-12-31'),
      noInvalidDate: true,
    });
    fc.assert(
      fc.property(zones, days, (timeZone, date) => {
        const day = date.toISOString().slice(0, 10);
        const before = new Date(Date.parse(day) - 24 * HOUR_MS).toISOString().slice(0, 10);
        const start = startOfDay(day, timeZone);
        expect(endOfDay(before, timeZone)).toEqual(start);
        expect(dayOfIn(timeZone)(start) >= day).toBe(true);
        expect(dayOfIn(timeZone)(new Date(start.getTime() - 1)) < day).toBe(true);
      }),
      { numRuns: 300 },
    );
  });

  test('at the ends of the calendar has a start and an end', () => {
    expect(startOfDay('0001-01-01', 'Europe/Berlin').toISOString()).toBe(
      '0001-01-01T00:00:00.000Z',
    );
    expect(endOfDay('9999-12-31', 'Europe/Berlin').getTime()).toBe(
      Date.parse('9999-12-31') + 24 * HOUR_MS,
    );
  });

  test.each([
    ['2026-02-28', true],
    ['2028-02-29', true],
    ['2026-02-29', false],
    ['2026-13-01', false],
    ['2026-1-1', false],
    ['+002026-01-01', false],
    ['', false],
  ])('%j is one: %s', (text, isOne) => {
    expect(isDay(text)).toBe(isOne);
  });
});

test.each([
  ['Europe/Berlin', true],
  ['UTC', true],
  ['America/Argentina/Buenos_Aires', true],
  ['Etc/GMT+1', true],
  ['+01:00', false],
  ['Mars/Olympus', false],
  ['', false],
  ['../Europe/Berlin', false],
])('%j is a time zone: %s', (text, isOne) => {
  expect(isTimeZone(text)).toBe(isOne);
});

test.each([
  ['2026-03-28T23:00:00.000Z', 'Europe/Berlin', '2026-03-29T00:00:00.000+01:00'],
  ['2026-07-01T00:00:00.000Z', 'America/St_Johns', '2026-06-30T21:30:00.000-02:30'],
  ['2026-07-01T00:00:00.000Z', 'UTC', '2026-07-01T00:00:00.000Z'],
])('%s in %s is %s', (moment, timeZone, written) => {
  expect(inTimeZone(new Date(moment), timeZone)).toBe(written);
  expect(new Date(written)).toEqual(new Date(moment));
});
