/** npm run verify recounts the ledger's invariants. A server may run at the same time. */
import { loadConfig } from '../config.js';
import { assertMigrated, explained } from '../infrastructure/database/migrations.js';
import { openDatabase } from '../infrastructure/database/open-database.js';
import type { Finding } from '../infrastructure/verify/check.js';
import { checkInvariants } from '../infrastructure/verify/invariants.js';
import { runProgram } from '../program.js';
import { readArguments } from './arguments.js';

const USAGE = {
  call: 'npm run verify --',
  summary: `Checks every invariant of the ledger that DATABASE_URL names. A server may run at the same time.
The command changes nothing, and exits with 1 if an invariant is violated.`,
  options: {},
} as const;

await runProgram(async () => {
  readArguments(USAGE);
  const config = loadConfig();
  const keptSince = new Date(Date.now() - config.outboxRetentionMs);
  const database = await openDatabase(config, 'read-only');
  try {
    await assertMigrated(database);
    const findings = await explained(database, () =>
      checkInvariants(database, keptSince, printFinding),
    );
    const violated = findings.filter(({ violations }) => violations.length > 0).length;
    console.log(`${findings.length} invariants checked, ${violated} violated`);
    if (violated > 0) process.exitCode = 1;
  } finally {
    await database.close();
  }
});

function printFinding({ statement, violations }: Finding): void {
  console.log(`${violations.length === 0 ? 'ok      ' : 'VIOLATED'}  ${statement}`);
  for (const violation of violations) console.log(`          ${JSON.stringify(violation)}`);
}
