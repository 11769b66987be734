import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { distance } from 'fastest-levenshtein';
import { ExplainedError } from './infrastructure/observability/explained-error.js';
import { reasonOf } from './infrastructure/observability/secrets.js';

/** What a program is told from outside. */
export interface Environment {
  /** Variables of the process; what it does not have comes from the file. */
  readonly values: NodeJS.ProcessEnv;
  /** The names that the file sets. */
  readonly fileNames: readonly string[];
}

const DEFAULT_FILE = '.env';

/**
 * Reads the environment, and the file that ENV_FILE names: by default .env in the working directory, which
 * need not exist.
 * @throws ExplainedError where the file can't be read
 */
export function readEnvironment(env: NodeJS.ProcessEnv): Environment {
  const ofFile = parseEnv(readText(env.ENV_FILE || undefined));
  return { values: { ...ofFile, ...env }, fileNames: Object.keys(ofFile) };
}

function readText(given: string | undefined): string {
  try {
    // Editors on Windows begin a file with a byte order mark.
    return readFileSync(given ?? DEFAULT_FILE, 'utf8').replace(/^\ufeff/, '');
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (isAbsent && given === undefined) return '';
    const name = given === undefined ? DEFAULT_FILE : `ENV_FILE, ${given},`;
    throw new ExplainedError(`${name} can't be read: ${reasonOf(error)}.`, { cause: error });
  }
}

/** Typing errors that a name may have, one for every so many letters of it, and how many at most. */
const LETTERS_PER_ERROR = 4;
const ERRORS_MAX = 2;

/**
 * The environment is full of names of others: what resembles HOST, PORT or AUTH, such as HOSTS, POST or OAUTH, is most
 * likely one of theirs, and a false alarm would stop the start. No other setting is as short, and a mistake in these three
 * shows at once: the start prints the address that the server listens on, and without AUTH it needs a way to
 * authenticate or stays on loopback.
 */
const LENGTH_MIN = 8;

/** Variables of .env that are read by others: by Compose, by containers, by Node, by tests and benchmarks. */
const OF_OTHERS = /^(NODE|NPM|npm|COMPOSE|DOCKER|MYSQL|RABBITMQ|TEST|BENCH|CHAOS)_|^(NODE_ENV|TZ)$/;

/** Names that no setting has. */
export interface UnknownNames {
  /** Each with the setting that it resembles, and that is not set: most likely a mistake. */
  readonly misspelt: ReadonlyMap<string, string>;
  /** The others of the file. */
  readonly others: readonly string[];
}

/** Looks for names that are none of the settings'. */
export function findUnknownNames(
  { values, fileNames }: Environment,
  settings: readonly string[],
): UnknownNames {
  const misspelt = new Map<string, string>();
  const others: string[] = [];
  for (const name of Object.keys(values)) {
    if (settings.includes(name) || OF_OTHERS.test(name)) continue;
    const isInFile = fileNames.includes(name);
    const meant = settingLike(name, settings, isInFile ? 1 : LENGTH_MIN);
    if (meant !== undefined && !values[meant]) misspelt.set(name, meant);
    else if (isInFile) others.push(name);
  }
  return { misspelt, others };
}

function settingLike(
  name: string,
  settings: readonly string[],
  lengthMin: number,
): string | undefined {
  const letters = name.toUpperCase();
  const errorsOf = new Map(settings.map((setting) => [setting, errorsBetween(letters, setting)]));
  const [[nearest, errors] = ['', 0]] = [...errorsOf].sort(([, one], [, other]) => one - other);
  const errorsMax = Math.min(ERRORS_MAX, Math.floor(nearest.length / LETTERS_PER_ERROR));
  return nearest.length >= lengthMin && errors <= errorsMax ? nearest : undefined;
}

/** Counts typing errors: the Levenshtein distance, in which one pair of swapped neighbours is one error. */
function errorsBetween(typed: string, meant: string): number {
  let errors = distance(typed, meant);
  for (let at = 0; at + 1 < typed.length; at += 1) {
    const swapped = `${typed.slice(0, at)}${typed[at + 1]}${typed[at]}${typed.slice(at + 2)}`;
    errors = Math.min(errors, 1 + distance(swapped, meant));
  }
  return errors;
}
