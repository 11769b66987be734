import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const execute = promisify(execFile);

const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;
const LINES_SHOWN = 3;

export interface RunSettings {
  /** Ends the program when it is aborted. */
  readonly signal: AbortSignal;
  /** Standard input. */
  readonly input?: string;
}

/**
 * Runs a program to its end.
 * @returns its standard output
 * @throws an Error with the end of its output if the program fails
 */
export async function run(
  program: string,
  args: readonly string[],
  { signal, input }: RunSettings,
): Promise<string> {
  // This code reads apt's messages, which must be in English.
  const env = { ...process.env, LC_ALL: 'C.UTF-8', DEBIAN_FRONTEND: 'noninteractive' };
  const running = execute(program, args, { signal, env, maxBuffer: OUTPUT_BYTES_MAX });
  // A program that ends early reads no more input; its exit code tells why.
  running.child.stdin?.on('error', () => {});
  running.child.stdin?.end(input);
  try {
    return (await running).stdout;
  } catch (error) {
    signal.throwIfAborted();
    throw new Error(`${program} failed: ${reasonOf(error)}`, { cause: error });
  }
}

function reasonOf(error: unknown): string {
  const { stderr, message } = error as Error & { readonly stderr?: string };
  return (stderr || message).trim().split('\n').slice(-LINES_SHOWN).join(' ');
}
