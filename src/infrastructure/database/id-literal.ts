import { stringify } from 'uuid';

/** Returns an id as a SQL literal for both dialects. A text in the form of an id needs no escaping. */
export function idLiteral(id: string): string {
  return `x'${id.replaceAll('-', '')}'`;
}

/** Returns the id from the result of SQL's hex(). */
export function idOfHex(hex: string): string {
  return stringify(Buffer.from(hex, 'hex'));
}
