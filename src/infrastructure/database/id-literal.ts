/** An id as SQL has it, in either dialect. What has the form of an id needs no escaping. */
export function idLiteral(id: string): string {
  return `x'${id.replaceAll('-', '')}'`;
}
