/** npm run migrate [-- up | down | pending] */
import { loadConfig } from '../config.js';
import { openDatabase } from '../infrastructure/database/dialect.js';

const command = process.argv[2] ?? 'up';
const database = await openDatabase(loadConfig());
try {
  const { migrator } = database.orm;
  const runs = {
    up: async () => report('applied', await migrator.up()),
    down: async () => report('reverted', await migrator.down()),
    pending: async () => report('pending', await migrator.getPending()),
  };
  const run = Object.entries(runs).find(([name]) => name === command)?.[1];
  if (run) await run();
  else {
    console.error(`Unknown: ${command}. Use up, down (the last one) or pending.`);
    process.exitCode = 2;
  }
} finally {
  await database.close();
}

function report(what: string, migrations: readonly { readonly name: string }[]): void {
  if (migrations.length === 0) console.log(`nothing ${what}`);
  for (const { name } of migrations) console.log(`${what} ${name}`);
}
