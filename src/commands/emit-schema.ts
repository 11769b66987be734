/** npm run schema:emit writes the SDL; npm run schema:check compares it with the committed one. */
import { readFile, writeFile } from 'node:fs/promises';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { reasonOf } from '../infrastructure/observability/secrets.js';
import { runProgram } from '../program.js';
import { buildSchema } from '../resolvers/build-schema.js';
import { sdlOf } from '../server/server.js';
import { readArguments } from './arguments.js';

const FILE = 'src/schema/schema.graphql';

const USAGE = {
  call: 'npm run schema:emit --',
  summary: `Writes the schema that the code makes to ${FILE}.`,
  options: {
    check: {
      type: 'boolean',
      default: false,
      help: 'writes nothing, and exits with 1 if the file differs (npm run schema:check)',
    },
  },
} as const;

await runProgram(async () => {
  const { check } = readArguments(USAGE);
  const sdl = sdlOf(buildSchema({ get: (type) => Object.create(type.prototype) }));
  if (!check) {
    await explained(() => writeFile(FILE, sdl));
    console.log(`${FILE} is written`);
  } else if ((await explained(() => readFile(FILE, 'utf8'))) === sdl) {
    console.log(`${FILE} is up to date`);
  } else {
    throw new ExplainedError(`${FILE} is out of date. Run: npm run schema:emit`);
  }
});

/** @throws ExplainedError if the file cannot be read or written, for example in a folder other than the checkout */
async function explained<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    throw new ExplainedError(`${FILE} cannot be used: ${reasonOf(error)}.`, { cause: error });
  }
}
