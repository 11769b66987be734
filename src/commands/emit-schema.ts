/** npm run schema:emit writes the SDL; npm run schema:check compares it with the committed one. */
import { readFile, writeFile } from 'node:fs/promises';
import { sdlOf } from '../infrastructure/http/server.js';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { runProgram } from '../program.js';
import { buildSchema } from '../resolvers/build-schema.js';

const FILE = 'src/schema/schema.graphql';

await runProgram(async () => {
  const sdl = sdlOf(buildSchema({ get: (type) => Object.create(type.prototype) }));
  if (process.argv[2] !== '--check') await writeFile(FILE, sdl);
  else if ((await readFile(FILE, 'utf8')) !== sdl) {
    throw new ExplainedError(`${FILE} is not what the code says. Run: npm run schema:emit`);
  }
});
