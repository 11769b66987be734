/** Calendar days in a time zone. A day has 23 or 25 hours when the clocks change. */

const DAY_MS = 86_400_000;

/** The longest distance of the start of a day from midnight in UTC. Zones are 14 hours ahead at most, and 12 behind. */
const OFFSET_MAX_MS = 15 * 3_600_000;

/** The days that are computed by their zone. There are no entries before them, and no times after them. */
const FIRST_ZONED_DAY = '1970-01-01';
const LAST_ZONED_DAY = '9999-12-30';

/** The name of a zone. Intl also accepts offsets such as +01:00, which are no zones. */
const ZONE_NAME = /^[A-Za-z][A-Za-z0-9_+/-]{0,63}$/;

/** Returns the local day of a moment as YYYY-MM-DD. */
export type DayOf = (moment: Date) => string;

/** @throws RangeError if there is no such zone */
export function dayOfIn(timeZone: string): DayOf {
  if (timeZone === 'UTC') return (moment) => moment.toISOString().slice(0, 10);
  const format = new Intl.DateTimeFormat('en-US', {
    timeZone,
    calendar: 'gregory',
    numberingSystem: 'latn',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
  });
  return (moment) => {
    // The text is 03/29/2026.
    const [month, day, year = ''] = format.format(moment).split('/');
    return `${year.padStart(4, '0')}-${month}-${day}`;
  };
}

/** Tells whether a text is the name of a time zone of IANA, such as Europe/Berlin or UTC. */
export function isTimeZone(text: string): boolean {
  if (!ZONE_NAME.test(text)) return false;
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

/** Tells whether a text is a day of the calendar as YYYY-MM-DD. */
export function isDay(text: string): boolean {
  if (!/^[0-9]{4}-[0-9]{2}-[0-9]{2}$/.test(text)) return false;
  const moment = new Date(`${text}T00:00:00.000Z`);
  return !Number.isNaN(moment.getTime()) && moment.toISOString().startsWith(text);
}

/**
 * Returns the first moment of a day in a time zone. It is the end of the day before, also where a zone skips midnight or
 * a whole day.
 * @param day YYYY-MM-DD
 */
export function startOfDay(day: string, timeZone: string): Date {
  const midnight = Date.parse(`${day}T00:00:00.000Z`);
  if (timeZone === 'UTC' || day < FIRST_ZONED_DAY || day > LAST_ZONED_DAY) {
    return new Date(midnight);
  }
  const dayOf = dayOfIn(timeZone);
  let before = midnight - OFFSET_MAX_MS - DAY_MS;
  let start = midnight + OFFSET_MAX_MS + DAY_MS;
  while (start - before > 1) {
    const middle = Math.floor((before + start) / 2);
    if (dayOf(new Date(middle)) >= day) start = middle;
    else before = middle;
  }
  return new Date(start);
}

/** Returns the first moment after a day in a time zone. */
export function endOfDay(day: string, timeZone: string): Date {
  const next = new Date(Date.parse(`${day}T00:00:00.000Z`) + DAY_MS).toISOString();
  // No day follows the last day of the calendar.
  if (!/^[0-9]{4}-/.test(next)) return new Date(next);
  return startOfDay(next.slice(0, 10), timeZone);
}

/** Returns a moment in a time zone, with the offset of the zone: 2026-03-29T00:00:00.000+01:00. */
export function inTimeZone(moment: Date, timeZone: string): string {
  const parts = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName: 'longOffset' })
    .formatToParts(moment)
    .find(({ type }) => type === 'timeZoneName');
  // The text is GMT, GMT+01:00 or, for old times, GMT+00:53:28.
  const offset = /([+-])([0-9]{2}):([0-9]{2})/.exec(parts?.value ?? '');
  if (!offset || timeZone === 'UTC') return moment.toISOString();
  const [text, sign, hours, minutes] = offset;
  const offsetMs = (Number(hours) * 60 + Number(minutes)) * 60_000 * (sign === '-' ? -1 : 1);
  return new Date(moment.getTime() + offsetMs).toISOString().replace('Z', text);
}
