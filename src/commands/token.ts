/**
 * npm run token makes a token for development, signed with this checkout's own key. It also prints the settings with
 * which a server trusts the key. In production, an identity provider signs the tokens.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { exportPKCS8, exportSPKI, generateKeyPair, importPKCS8, SignJWT } from 'jose';
import { ROLES } from '../domain/kinds.js';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { reasonOf } from '../infrastructure/observability/secrets.js';
import { runProgram } from '../program.js';
import { readArguments } from './arguments.js';

const FOLDER = 'data';
const PRIVATE_KEY = `${FOLDER}/development-key.pem`;
const PUBLIC_KEY = `${FOLDER}/development-key.pub.pem`;
const ALGORITHM = 'EdDSA';
const ISSUER = 'virement-development';
const AUDIENCE = 'virement';

const USAGE = {
  call: 'npm run --silent token --',
  summary: `Prints a token for development, signed with a key of this checkout. The first run makes the key in ${FOLDER}.`,
  options: {
    org: {
      type: 'string',
      multiple: true,
      default: [] as string[],
      value: 'ID',
      help: 'id of an organization whose accounts the token may use',
    },
    role: {
      type: 'string',
      multiple: true,
      default: ['viewer'] as string[],
      value: 'ROLE',
      help: ROLES.join(', '),
    },
    subject: { type: 'string', default: 'developer', value: 'NAME', help: 'name of the caller' },
    hours: { type: 'string', default: '12', value: 'N', help: 'how long the token is valid' },
    env: {
      type: 'boolean',
      default: false,
      help: 'prints the lines of .env with which a server trusts this key, instead of a token',
    },
  },
} as const;

await runProgram(async () => {
  const values = readArguments(USAGE);
  // The server accepts roles in any case too.
  const roles = values.role.map((role) => role.toLowerCase());
  const unknown = roles.filter((role) => !(ROLES as readonly string[]).includes(role));
  if (unknown.length > 0) {
    throw new ExplainedError(`--role is ${unknown.join(', ')}; allowed are ${ROLES.join(', ')}`);
  }
  if (!/^[1-9][0-9]{0,3}$/.test(values.hours)) {
    throw new ExplainedError('--hours must be a whole number from 1 to 9999');
  }
  if (!existsSync(PRIVATE_KEY)) await explained(makeKeys);
  if (values.env) return explained(printEnvironment);
  const key = await explained(async () =>
    importPKCS8(await readFile(PRIVATE_KEY, 'utf8'), ALGORITHM),
  );
  const token = await new SignJWT({ org: values.org, roles })
    .setProtectedHeader({ alg: ALGORITHM })
    .setSubject(values.subject)
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setIssuedAt()
    .setExpirationTime(`${values.hours}h`)
    .sign(key);
  console.error('A server that starts with these settings trusts the token:');
  console.error(
    `  AUTH=on AUTH_PUBLIC_KEY=${PUBLIC_KEY} AUTH_ISSUER=${ISSUER} AUTH_AUDIENCE=${AUDIENCE}`,
  );
  console.error('Authorization: Bearer');
  console.log(token);
});

/** @throws ExplainedError if the keys cannot be read or made */
async function explained<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const files = `${PRIVATE_KEY} and ${PUBLIC_KEY}`;
    throw new ExplainedError(`The keys ${files} cannot be used: ${reasonOf(error)}.`, {
      cause: error,
    });
  }
}

/** Prints the lines of a .env file. Shells, Node and Compose all take text in single quotes literally. */
async function printEnvironment(): Promise<void> {
  const pem = (await readFile(PUBLIC_KEY, 'utf8')).trim().replaceAll('\n', '\\n');
  console.log(
    `AUTH=on\nAUTH_PUBLIC_KEY='${pem}'\nAUTH_ISSUER=${ISSUER}\nAUTH_AUDIENCE=${AUDIENCE}`,
  );
}

async function makeKeys(): Promise<void> {
  const { privateKey, publicKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  await mkdir(FOLDER, { recursive: true });
  await writeFile(PRIVATE_KEY, await exportPKCS8(privateKey), { mode: 0o600 });
  await writeFile(PUBLIC_KEY, await exportSPKI(publicKey));
}
