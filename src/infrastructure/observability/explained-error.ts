/** An error whose message is all that its reader needs: a wrong setting, a missing migration. */
export class ExplainedError extends Error {
  override readonly name: string = 'ExplainedError';
}
