import { readFileSync } from 'node:fs';
import { parseEnv } from 'node:util';
import { distance } from 'fastest-levenshtein';
import { ExplainedError } from './infrastructure/observability/explained-error.js';
import { reasonOf } from './infrastructure/observability/secrets.js';

/** The environment variables of a program. */
export interface Environment {
  /** Variables of the process. The file provides variables that the process does not have. */
  readonly values: NodeJS.ProcessEnv;
  /** The names that the file sets. */
  readonly fileNames: readonly string[];
}

const DEFAULT_FILE = '.env';

/**
 * Reads the environment, and the file that ENV_FILE names. The default is .env in the working directory, which may be
 * missing.
 * @throws ExplainedError if the file cannot be read
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
    throw new ExplainedError(`${name} cannot be read: ${reasonOf(error)}.`, { cause: error });
  }
}

/** Values that were read from files, and what is wrong with the files. */
export interface SecretFiles {
  readonly values: Readonly<Record<string, string>>;
  readonly faults: readonly string[];
}

/** Returns the name of the variable that names the file of a secret. */
export const fileNameOf = (secret: string) => `${secret}_FILE`;

/**
 * Reads secrets from the files that variables such as DATABASE_URL_FILE name, as Docker and Kubernetes mount them. A line
 * break at the end of a file is not part of its secret.
 */
export function readSecretFiles(env: NodeJS.ProcessEnv, secrets: readonly string[]): SecretFiles {
  const values: Record<string, string> = {};
  const faults: string[] = [];
  for (const secret of secrets) {
    const name = fileNameOf(secret);
    const path = env[name];
    if (!path) continue;
    if (env[secret]) faults.push(`${name}: must not be set together with ${secret}`);
    try {
      values[secret] = readFileSync(path, 'utf8').replace(/\r?\n$/, '');
    } catch (error) {
      faults.push(`${name}: cannot be read: ${reasonOf(error)}`);
    }
  }
  return { values, faults };
}

/** Limits the typing errors of a name: one for each LETTERS_PER_ERROR letters of it, and ERRORS_MAX at most. */
const LETTERS_PER_ERROR = 4;
const ERRORS_MAX = 2;

/**
 * The minimum length of a setting that is checked for typing errors. The environment contains many names of other
 * programs. A name that resembles HOST, PORT or AUTH, such as HOSTS, POST or OAUTH, most likely belongs to another
 * program. A false alarm would stop the start. No other setting is as short, and a mistake in these three is visible at
 * once. The start prints the address that the server listens on. Without AUTH the server needs a way to authenticate or
 * stays on loopback.
 */
const LENGTH_MIN = 8;

/** Variables of .env that other programs read: Compose, containers, Node, OpenTelemetry, tests and benchmarks. */
const OF_OTHERS =
  /^(NODE|NPM|npm|COMPOSE|DOCKER|MYSQL|OTEL|RABBITMQ|TEST|BENCH|CHAOS)_|^(NODE_ENV|TZ)$/;

/** Names that are not settings. */
export interface UnknownNames {
  /** Names that resemble a setting that is not set, with that setting. They are most likely mistakes. */
  readonly misspelt: ReadonlyMap<string, string>;
  /** The other unknown names of the file. */
  readonly others: readonly string[];
}

/** Finds names that are not settings. */
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
