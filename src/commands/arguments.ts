import { type ParseArgsOptionDescriptor, parseArgs } from 'node:util';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { reasonOf } from '../infrastructure/observability/secrets.js';
import { HelpRequest } from '../program.js';

/** An option of a command, and its line of --help. */
export interface Option extends ParseArgsOptionDescriptor {
  /** The name of its value in --help: N, ID or FILE. */
  readonly value?: string;
  readonly help: string;
}

type Options = Readonly<Record<string, Option>>;

/** The arguments that a command accepts. */
export interface Usage<Own extends Options = Options> {
  /** The command line before the arguments: npm run seed -- */
  readonly call: string;
  readonly summary: string;
  /** The name of the argument without an option in --help: FILE. */
  readonly operand?: string;
  readonly options: Own;
}

/** A command whose first argument may be an action. */
export interface ActionUsage<Action extends string, Own extends Options> extends Usage<Own> {
  /** The line of --help for each action. */
  readonly actions: Readonly<Record<Action, string>>;
  readonly defaultAction: NoInfer<Action>;
}

const HELP = { type: 'boolean', short: 'h', help: 'prints this help' } as const;

/**
 * Reads a command's options from its arguments.
 * @throws HelpRequest if --help is among the arguments
 * @throws ExplainedError if an argument is unknown, or an option has no value
 */
export function readArguments<const Own extends Options>(usage: Usage<Own>) {
  return parse(usage, false).values;
}

/**
 * Reads the one file of a command, and its options.
 * @throws HelpRequest if --help is among the arguments
 * @throws ExplainedError if there is no file, or an argument is unknown, or an option has no value
 */
export function readFileArguments<const Own extends Options>(usage: Usage<Own>) {
  const { values, positionals } = parse(usage, true);
  const [file, ...others] = positionals;
  if (!file) throw usageError(usage, 'The file is missing');
  if (others.length > 0) throw usageError(usage, `Unexpected argument '${others[0]}'`);
  return { file, values };
}

/**
 * Reads a command's action and options from its arguments.
 * @throws HelpRequest if --help is among the arguments
 * @throws ExplainedError if an argument is unknown, or an option has no value
 */
export function readActionArguments<Action extends string, const Own extends Options>(
  usage: ActionUsage<Action, Own>,
) {
  const { values, positionals } = parse(usage, true);
  const [name = usage.defaultAction, ...others] = positionals;
  const action = (Object.keys(usage.actions) as Action[]).find((known) => known === name);
  if (action === undefined) throw usageError(usage, `Unknown action '${name}'`);
  if (others.length > 0) throw usageError(usage, `Unexpected argument '${others[0]}'`);
  return { action, values };
}

function parse<const Own extends Options>(usage: Usage<Own>, allowPositionals: boolean) {
  const parsed = strictlyParsed(usage, allowPositionals);
  const { values } = parsed;
  if ('help' in values && values.help === true) throw new HelpRequest(helpOf(usage));
  for (const [name, value] of Object.entries(values)) {
    if ([value].flat().includes('')) throw usageError(usage, `Option '--${name}' has no value`);
  }
  return parsed;
}

function strictlyParsed<const Own extends Options>(usage: Usage<Own>, allowPositionals: boolean) {
  try {
    return parseArgs({ options: { ...usage.options, help: HELP }, allowPositionals });
  } catch (error) {
    // The first sentence names the argument. The other sentences describe positional arguments and dashes.
    const [complaint = ''] = reasonOf(error).split(/\. |\n/);
    throw usageError(usage, complaint.replace(/\.$/, ''));
  }
}

function usageError({ call }: Usage, complaint: string): ExplainedError {
  return new ExplainedError(`${complaint}. For help: ${call} --help`);
}

/** Returns the text of --help: the call, the summary, and a line for each action and option. */
function helpOf(usage: Usage & { readonly actions?: Readonly<Record<string, string>> }): string {
  const actions = Object.entries(usage.actions ?? {});
  const options = Object.entries({ ...usage.options, help: HELP }).map(
    ([name, { value, help, ...option }]: [string, Option]) => {
      const flag = [`--${name}`, value].filter(Boolean).join(' ');
      return [flag, `${help}${option.multiple ? '; may be repeated' : ''}`] as const;
    },
  );
  const width = Math.max(...[...actions, ...options].map(([word]) => word.length));
  const described = (lines: readonly (readonly [string, string])[]) =>
    lines.map(([word, help]) => `  ${word.padEnd(width)}  ${help}`);
  const choice = actions.length > 0 ? ` [${actions.map(([name]) => name).join(' | ')}]` : '';
  return [
    `Usage: ${[usage.call + choice, usage.operand, '[options]'].filter(Boolean).join(' ')}`,
    '',
    usage.summary,
    '',
    ...(actions.length > 0 ? [...described(actions), ''] : []),
    ...described(options),
  ].join('\n');
}
