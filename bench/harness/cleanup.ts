/**
 * The actions that undo a program's work, whichever way it ends: processes are stopped, databases are
 * dropped. The last action registered runs first, so that a server stops before its database is dropped.
 */
const stack = new AsyncDisposableStack();

/** @throws ReferenceError once the clean-up runs: nothing new may start then */
export function atEnd(undo: () => Promise<void>): void {
  stack.defer(undo);
}

export function cleanUp(): Promise<void> {
  return stack.disposeAsync();
}
