import { inspect } from 'node:util';
import { ExplainedError } from './infrastructure/observability/explained-error.js';
import { reasonOf, withoutPasswords } from './infrastructure/observability/secrets.js';

/** The oldest version of Node with all features in use. MikroORM and node:sqlite require it. */
const NODE_MIN = [22, 17] as const;

/** Thrown by a program that was called for help, with the help text. */
export class HelpRequest extends Error {
  override readonly name = 'HelpRequest';
}

/**
 * Runs a program. An error is printed, and sets the exit code to 1. For an explained error only the message is printed.
 * For any other error the stacks of the error and of its causes are printed. Other properties are left out, because
 * they may contain settings.
 */
export async function runProgram(program: () => Promise<void>): Promise<void> {
  try {
    requireNode(process.versions.node);
    await program();
  } catch (error) {
    if (error instanceof HelpRequest) return console.log(error.message);
    console.error(descriptionOf(error));
    process.exitCode = 1;
  }
}

/**
 * Requires a version of Node that can run this program. A module that an older Node lacks must not be imported
 * statically, or this check is never reached.
 * @throws ExplainedError
 */
function requireNode(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin, minorMin] = NODE_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  throw new ExplainedError(
    `Virement needs Node ${NODE_MIN.join('.')} or later, but this is ${version}. npm commands, such as npm start, use the Node of the project.`,
  );
}

function descriptionOf(error: unknown): string {
  if (error instanceof ExplainedError) return reasonOf(error);
  if (!(error instanceof Error)) return withoutPasswords(inspect(error));
  const causes = [...('errors' in error && Array.isArray(error.errors) ? error.errors : [])];
  if (error.cause !== undefined) causes.push(error.cause);
  const own = withoutPasswords(error.stack ?? String(error));
  return [own, ...causes.map((cause) => `Cause: ${descriptionOf(cause)}`)].join('\n');
}
