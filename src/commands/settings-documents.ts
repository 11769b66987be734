import { z } from 'zod';
import { SECRETS, SETTING_GROUPS } from '../config.js';

/** A setting as the documents show it. */
interface Setting {
  readonly name: string;
  readonly description: string;
  /** The allowed values in words, with their unit. */
  readonly allowed: string;
  /** The default as written in .env; empty if the setting has no default. */
  readonly fallback: string;
  /** The effect of a missing value; undefined if the default describes the effect. */
  readonly unset: string | undefined;
}

/** The JSON Schema of a setting in .env: a text, with the keys that meta adds. */
const inputSchema = z.object({
  description: z.string().regex(/^[A-Z].*\.$/),
  allowed: z.string().optional(),
  unset: z.string().optional(),
  enum: z.array(z.string()).optional(),
  default: z.string().optional(),
});

/** The JSON Schema of a setting as the server uses it, with the range of a number and a default that is no text. */
const outputSchema = z.object({
  minimum: z.number().optional(),
  maximum: z.number().optional(),
  default: z.unknown().optional(),
});

/** The unit of a setting, by a part of its name. */
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/_MS(_|$)/, ' ms'],
  [/_BYTES(_|$)/, ' bytes'],
];

function readSetting([name, schema]: readonly [string, z.ZodType]): Setting {
  const ofInput = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' });
  const ofOutput = z.toJSONSchema(schema, { io: 'output', unrepresentable: 'any' });
  const { description, unset, ...input } = inputSchema.parse(ofInput);
  const { minimum, maximum, ...output } = outputSchema.parse(ofOutput);
  const unit = UNITS.find(([pattern]) => pattern.test(name))?.[1] ?? '';
  const range = maximum === undefined ? undefined : `${minimum} to ${maximum}${unit}`;
  const allowed = input.allowed ?? input.enum?.join(', ').replace(/, (\w+)$/, ' or $1') ?? range;
  if (allowed === undefined) throw new Error(`${name} does not say which values it allows`);
  return {
    name,
    description,
    allowed,
    fallback: String(input.default ?? output.default ?? ''),
    unset,
  };
}

/** Returns each group's heading with its settings. */
function readGroups(): readonly (readonly [string, readonly Setting[]])[] {
  return Object.entries(SETTING_GROUPS).map(([heading, shape]) => [
    heading,
    Object.entries(shape).map(readSetting),
  ]);
}

const MARKDOWN_HEAD = `# Settings

<!-- npm run settings:emit writes this file from src/config.ts. -->

A setting is an environment variable, or a line of \`.env\` in the folder that a command starts in. \`ENV_FILE\` names another
file. A variable of the environment overrides the file. [.env.example](../.env.example) has every setting with its default.

- An empty value counts as no value.
- A wrong value stops the start, and so does a name that is nearly a setting. The message names every fault.
- The container image sets \`HOST=0.0.0.0\`, \`PORT=4000\` and \`NODE_ENV=production\`.
- A secret can be in a file, as Docker and Kubernetes mount them: \`DATABASE_URL_FILE\` is the path of a file whose text is
  \`DATABASE_URL\`. So it is for ${SECRETS.map((name) => `\`${name}\``)
    .join(', ')
    .replace(/, (\S+)$/, ' and $1')}.
`;

const TABLE_HEAD = '| setting | default | allowed values | meaning |\n|---|---|---|---|';

function markdownRow({ name, description, allowed, fallback, unset }: Setting): string {
  const value = fallback === '' ? (unset ?? '') : `\`${fallback}\``;
  return `| \`${name}\` | ${value} | ${allowed} | ${description} |`;
}

/** Returns the text of docs/settings.md. */
export function settingsMarkdown(): string {
  const sections = readGroups().map(
    ([heading, settings]) =>
      `## ${heading}\n\n${TABLE_HEAD}\n${settings.map(markdownRow).join('\n')}\n`,
  );
  return [MARKDOWN_HEAD, ...sections].join('\n');
}

const EXAMPLE_HEAD = `# Every setting of the server, with its default. npm run settings:emit writes this file from src/config.ts.
# All lines are commented out, so a copy of this file changes nothing.
# The server and its commands read .env in the folder that they start in, or the file that ENV_FILE names.
# Variables of the environment override the file. An empty value counts as no value.
# A wrong value stops the start, and so does a name that is nearly a setting. The message names every fault.
# The head of docker-compose.yml lists Compose's own variables, such as MYSQL_PASSWORD.
`;

function exampleLines({ name, description, allowed, fallback, unset }: Setting): string {
  const sentences = [description, `Allowed: ${allowed}.`];
  if (unset !== undefined) sentences.push(`Default: ${unset}.`);
  return `# ${sentences.join(' ')}\n#${name}=${fallback}\n`;
}

/** Returns the text of .env.example. */
export function environmentExample(): string {
  const sections = readGroups().flatMap(([heading, settings]) => [
    `# ${heading}\n`,
    ...settings.map(exampleLines),
  ]);
  return [EXAMPLE_HEAD, ...sections].join('\n');
}
