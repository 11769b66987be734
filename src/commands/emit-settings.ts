/** npm run settings:emit writes the documents that describe the settings. */
import { writeFile } from 'node:fs/promises';
import { runProgram } from '../program.js';
import { readArguments } from './arguments.js';
import { environmentExample, settingsMarkdown } from './settings-documents.js';

const USAGE = {
  call: 'npm run settings:emit --',
  summary: 'Writes docs/settings.md and .env.example from the settings in src/config.ts.',
  options: {},
} as const;

await runProgram(async () => {
  readArguments(USAGE);
  await writeFile('docs/settings.md', settingsMarkdown());
  await writeFile('.env.example', environmentExample());
  console.log('docs/settings.md and .env.example are written');
});
