/** An error whose message alone explains it to its reader, such as a wrong setting or a missing migration. */
export class ExplainedError extends Error {
  override readonly name: string = 'ExplainedError';
}
