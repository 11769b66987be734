/** npm run migrate [-- up | down | pending] */
import { loadConfig } from '../config.js';
import { openDatabase } from '../infrastructure/database/dialect.js';
import { explained } from '../infrastructure/database/migrations.js';
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { runProgram } from '../program.js';

await runProgram(async () => {
  const command = process.argv[2] ?? 'up';
  const database = await openDatabase(loadConfig());
  try {
    const { migrator } = database.orm;
    await explained(database, async () => {
      if (command === 'up') report('applied', await migrator.up());
      else if (command === 'down') report('reverted', await migrator.down());
      else if (command === 'pending') report('pending', await migrator.getPending());
      else throw new ExplainedError(`Unknown: ${command}. Use up, down (the last one) or pending.`);
    });
  } finally {
    await database.close();
  }
});

function report(what: string, migrations: readonly { readonly name: string }[]): void {
  if (migrations.length === 0) console.log(`nothing ${what}`);
  for (const { name } of migrations) console.log(`${what} ${name}`);
}
