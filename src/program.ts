import { ExplainedError } from './infrastructure/observability/explained-error.js';

/** Runs a program. What goes wrong is printed, with a stack where nothing else explains it, and exits with 1. */
export async function runProgram(program: () => Promise<void>): Promise<void> {
  try {
    await program();
  } catch (error) {
    console.error(error instanceof ExplainedError ? error.message : error);
    process.exitCode = 1;
  }
}
