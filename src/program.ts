import { inspect } from 'node:util';
import { ExplainedError } from './infrastructure/observability/explained-error.js';
import { reasonOf, withoutPasswords } from './infrastructure/observability/secrets.js';

/** The oldest Node that has all that is used: MikroORM and node:sqlite need it. */
const NODE_MIN = [22, 17] as const;

/** Thrown by a program that was asked for help, with the text of it. */
export class HelpRequest extends Error {
  override readonly name = 'HelpRequest';
}

/**
 * Runs a program. What goes wrong is printed, and the exit code is 1. An explained error is its message; any
 * other has its stack and those of its causes, without further properties, which may hold settings.
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
 * Makes sure of the Node that runs this. Nothing that an older one lacks may be imported statically, or this
 * is never reached.
 * @throws ExplainedError
 */
function requireNode(version: string): void {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [majorMin, minorMin] = NODE_MIN;
  if (major > majorMin || (major === majorMin && minor >= minorMin)) return;
  throw new ExplainedError(
    `Virement needs Node ${NODE_MIN.join('.')} or later, and this is ${version}. npm's commands, such as npm start, bring their own Node.`,
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
