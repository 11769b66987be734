import { inspect } from 'node:util';
import { ExplainedError } from './infrastructure/observability/explained-error.js';
import { reasonOf, withoutPasswords } from './infrastructure/observability/secrets.js';

/**
 * Runs a program. What goes wrong is printed, and the exit code is 1. An explained error is its message; any
 * other has its stack and those of its causes, without further properties, which may hold settings.
 */
export async function runProgram(program: () => Promise<void>): Promise<void> {
  try {
    await program();
  } catch (error) {
    console.error(descriptionOf(error));
    process.exitCode = 1;
  }
}

function descriptionOf(error: unknown): string {
  if (error instanceof ExplainedError || isWrongArgument(error)) return reasonOf(error);
  if (!(error instanceof Error)) return withoutPasswords(inspect(error));
  const causes = [...('errors' in error && Array.isArray(error.errors) ? error.errors : [])];
  if (error.cause !== undefined) causes.push(error.cause);
  const own = withoutPasswords(error.stack ?? String(error));
  return [own, ...causes.map((cause) => `Cause: ${descriptionOf(cause)}`)].join('\n');
}

/** Thrown by parseArgs: its message names the argument. */
function isWrongArgument(error: unknown): error is Error {
  if (!(error instanceof Error) || !('code' in error)) return false;
  return String(error.code).startsWith('ERR_PARSE_ARGS');
}
