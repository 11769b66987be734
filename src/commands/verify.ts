/** npm run verify: recounts the ledger's invariants, beside a running server if need be. */
import { loadConfig } from '../config.js';
import { openDatabase } from '../infrastructure/database/dialect.js';
import { checkInvariants } from '../infrastructure/database/invariants.js';
import { assertMigrated } from '../infrastructure/database/migrations.js';
import { runProgram } from '../program.js';

await runProgram(async () => {
  const config = loadConfig();
  const keptSince = new Date(Date.now() - config.outboxRetentionMs);
  const database = await openDatabase(config, 'read-only');
  try {
    await assertMigrated(database);
    const findings = await checkInvariants(database, keptSince, ({ statement, violations }) => {
      console.log(`${violations.length === 0 ? 'ok      ' : 'VIOLATED'}  ${statement}`);
      for (const violation of violations) console.log(`          ${JSON.stringify(violation)}`);
    });
    const violated = findings.filter(({ violations }) => violations.length > 0).length;
    console.log(`${findings.length} invariants checked, ${violated} violated`);
    if (violated > 0) process.exitCode = 1;
  } finally {
    await database.close();
  }
});
