import { onTestFinished } from 'vitest';
import { type ServerProcess, startProcess } from './process.js';
import { portOf, startProxy } from './proxy.js';
import { createMigratedDatabase } from './test-database.js';

/** A server that keeps its address and its ledger when its process is replaced. */
export interface RestartableServer {
  /** The constant address, which is a proxy's. */
  readonly url: string;
  readonly proxy: Awaited<ReturnType<typeof startProxy>>;
  /** The current process. */
  readonly current: ServerProcess;
  /** Ends the process by SIGTERM or SIGKILL, and starts another. */
  restart(how: 'stop' | 'kill'): Promise<void>;
}

export async function startRestartable(env: NodeJS.ProcessEnv = {}): Promise<RestartableServer> {
  const database = await createMigratedDatabase();
  onTestFinished(() => database.drop());
  const start = () => startProcess({ DATABASE_URL: database.url, ...env });
  let current = await start();
  const target = { host: '127.0.0.1', port: portOf(current.url) };
  const proxy = await startProxy(target);
  return {
    url: `http://127.0.0.1:${proxy.port}`,
    proxy,
    get current() {
      return current;
    },
    restart: async (how) => {
      await current[how]();
      current = await start();
      target.port = portOf(current.url);
    },
  };
}
