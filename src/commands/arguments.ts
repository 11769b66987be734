import { type ParseArgsOptionDescriptor, parseArgs } from 'node:util';
import { HelpRequest } from '../program.js';

/** An option of a command, and what --help says of it. */
export interface Option extends ParseArgsOptionDescriptor {
  /** What to write for its value: N, ID or FILE. */
  readonly value?: string;
  readonly help: string;
}

/** A command's way to be called, and its options by name. */
export interface Usage<Options extends Readonly<Record<string, Option>>> {
  /** As it is typed: npm run seed -- */
  readonly call: string;
  readonly summary: string;
  readonly options: Options;
}

const HELP = { type: 'boolean', short: 'h', help: 'says this' } as const;

/**
 * Reads a command's options from its arguments.
 * @throws HelpRequest where they ask for help; what parseArgs throws where one is unknown
 */
export function readArguments<const Options extends Readonly<Record<string, Option>>>(
  usage: Usage<Options>,
) {
  const { values } = parseArgs({ options: { ...usage.options, help: HELP } });
  if ('help' in values && values.help === true) throw new HelpRequest(helpOf(usage));
  return values;
}

/** The text of --help: how to call the command, what it does, and a line for each option. */
function helpOf({ call, summary, options }: Usage<Readonly<Record<string, Option>>>): string {
  const lines = Object.entries({ ...options, help: HELP }).map(
    ([name, { value, help, ...option }]: [string, Option]) => {
      const flag = [`--${name}`, value].filter(Boolean).join(' ');
      const repeated = option.multiple ? '; may be repeated' : '';
      return [flag, `${help}${repeated}`] as const;
    },
  );
  const width = Math.max(...lines.map(([flag]) => flag.length));
  const described = lines.map(([flag, help]) => `  ${flag.padEnd(width)}  ${help}`);
  return [`Usage: ${call} [options]`, '', summary, '', ...described].join('\n');
}
