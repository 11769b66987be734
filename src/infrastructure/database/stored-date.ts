/** Returns the time of a column: SQLite stores milliseconds, and the driver of MySQL returns a text in UTC. */
export function dateOf(value: unknown): Date {
  return value instanceof Date || typeof value === 'number'
    ? new Date(value)
    : new Date(`${String(value).replace(' ', 'T')}Z`);
}
