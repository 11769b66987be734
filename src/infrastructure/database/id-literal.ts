import { stringify } from 'uuid';

/** An id as SQL has it, in either dialect. What has the form of an id needs no escaping. */
export function idLiteral(id: string): string {
  return `x'${id.replaceAll('-', '')}'`;
}

/** An id from what SQL's hex() gives. */
export function idOfHex(hex: string): string {
  return stringify(Buffer.from(hex, 'hex'));
}
