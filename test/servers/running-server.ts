/** A started server that tests run against. */
export interface RunningServer {
  /** The version that the server itself reports. */
  readonly version: string;
  /** Environment variables that point the tests at the server. */
  readonly env: NodeJS.ProcessEnv;
  /** Arguments of vitest for this server. */
  readonly args: readonly string[];
  /** Ends the server and deletes its data. */
  stop(): Promise<void>;
}
