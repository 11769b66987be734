/** npm run doctor examines an installation: its settings, database, broker and disk. */
import { ConfigError, loadConfig } from '../config.js';
import { runProgram } from '../program.js';
import { readArguments } from './arguments.js';
import { examine, type Finding } from './doctor-checks.js';

const USAGE = {
  call: 'npm run doctor --',
  summary: `Examines the settings, the database, the broker and the disk, and says what to do. A server may run at the same
time. The command changes nothing, and exits with 1 if something is wrong.`,
  options: { json: { type: 'boolean', help: 'prints the findings as JSON' } },
} as const;

const VERDICT_WIDTH = 'warning'.length;
const PART_WIDTH = 'dead letters'.length;

await runProgram(async () => {
  const { json } = readArguments(USAGE);
  const findings = await findingsOf();
  console.log(json ? JSON.stringify(findings, null, 2) : tableOf(findings));
  if (findings.some(({ verdict }) => verdict === 'wrong')) process.exitCode = 1;
});

async function findingsOf(): Promise<Finding[]> {
  try {
    return await examine(loadConfig());
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const advice = 'Look at docs/settings.md.';
    return error.message
      .split('\n')
      .slice(1)
      .map((line) => ({ verdict: 'wrong', part: 'settings', found: line.trim(), advice }));
  }
}

/** Returns a line for each finding, and one for each advice. */
function tableOf(findings: readonly Finding[]): string {
  return findings
    .flatMap(({ verdict, part, found, advice }) => [
      `${verdict.padEnd(VERDICT_WIDTH)}  ${part.padEnd(PART_WIDTH)}  ${found}`,
      ...(advice === undefined ? [] : [`${' '.repeat(VERDICT_WIDTH + PART_WIDTH + 4)}${advice}`]),
    ])
    .join('\n');
}
