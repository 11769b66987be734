import { DEMO_ACCOUNTS } from './application/seed-demo.js';
import type { Config } from './config.js';
import { VERSION } from './files.js';

/** Returns the message for a user at a terminal when the server listens: its address, and what to try. */
export function welcomeOf(config: Config, address: string): string {
  const [demo] = DEMO_ACCOUNTS;
  const lines: [string, string][] = [['Open', `${address}/`]];
  if (config.graphiql) lines.push(['GraphiQL', `${address}/graphiql/`]);
  if (config.seedDemo) lines.push(['Demo account', `${demo.iban} (${demo.organizationName})`]);
  lines.push(['Try', tryNext(config, address)], ['Stop', 'Ctrl-C']);
  const width = Math.max(...lines.map(([name]) => name.length));
  const described = lines.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`);
  return ['', `Virement ${VERSION}`, ...described, ''].join('\n');
}

function tryNext({ authentication, seedDemo }: Config, address: string): string {
  if (authentication.mode === 'on') return 'npm run token prints a token for calls';
  if (seedDemo) return `copy the bulk transfer at ${address}/ into another terminal`;
  return 'npm run seed opens the accounts of demo companies';
}
