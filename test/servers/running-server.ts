/** A started server that tests run against. */
export interface RunningServer {
  /** The version that the server itself reports. */
  readonly version: string;
  /** Environment variables that point the tests at the server. */
  readonly env: NodeJS.ProcessEnv;
  /** Arguments that vitest needs for it. */
  readonly args: readonly string[];
  /** Ends it, and deletes its data. */
  stop(): Promise<void>;
}
