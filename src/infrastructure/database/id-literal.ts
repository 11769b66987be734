import { stringify } from 'uuid';

/** The id before all ids. No row has it. */
export const NO_ID = '00000000-0000-0000-0000-000000000000';

/** Returns an id as a SQL literal for both dialects. A text in the form of an id needs no escaping. */
export function idLiteral(id: string): string {
  return `x'${id.replaceAll('-', '')}'`;
}

/** Returns the id from the result of SQL's hex(). */
export function idOfHex(hex: string): string {
  return stringify(Buffer.from(hex, 'hex'));
}
