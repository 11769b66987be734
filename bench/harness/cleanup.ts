/**
 * What is to be undone when the bench ends, however it ends: processes to stop, databases to drop. The
 * last comes first, so that a server is gone before its database is.
 */
const stack = new AsyncDisposableStack();

/** @throws ReferenceError once the bench is ending: nothing new may begin then */
export function atEnd(undo: () => Promise<void>): void {
  stack.defer(undo);
}

export function cleanUp(): Promise<void> {
  return stack.disposeAsync();
}
