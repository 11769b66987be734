/** A child process that runs jobs, one at a time, and answers each with its result. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { atEnd } from './cleanup.ts';

type Answer<Result> = { readonly result: Result } | { readonly error: string };

/** The parent's side. */
export class WorkerProcess<Job extends object, Result> {
  readonly #child: ChildProcess;

  /** @param script a module that calls answerJobs */
  constructor(script: URL, env: Readonly<Record<string, string>> = {}) {
    this.#child = fork(script, { env: { ...process.env, ...env }, serialization: 'advanced' });
    atEnd(() => this.stop());
  }

  /** @throws Error with the stack of the job's error */
  async run(job: Job): Promise<Result> {
    const exit = new AbortController();
    const exited = once(this.#child, 'exit', { signal: exit.signal }).then(() => {
      throw new Error(`${this.#child.spawnargs.join(' ')} exited during a job`);
    });
    const answered = once(this.#child, 'message', { signal: exit.signal });
    this.#child.send(job);
    try {
      const [answer]: Answer<Result>[] = await Promise.race([answered, exited]);
      if (!answer) throw new Error('The worker process sent an empty answer');
      if ('error' in answer) throw new Error(answer.error);
      return answer.result;
    } finally {
      exit.abort();
      exited.catch(() => {});
      answered.catch(() => {});
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const exited = once(this.#child, 'exit');
    this.#child.disconnect();
    await exited;
  }
}

/**
 * The child's side: runs each job that arrives, until the parent disconnects.
 * @param release closes the resources that would keep the process alive
 */
export function answerJobs<Job, Result>(
  work: (job: Job) => Promise<Result>,
  release: () => Promise<void>,
): void {
  process.on('message', (job: Job) => {
    const answer = (message: Answer<Result>) => {
      // The parent may have disconnected during the job.
      if (process.connected) process.send?.(message);
    };
    work(job).then(
      (result) => answer({ result }),
      (error: unknown) =>
        answer({ error: error instanceof Error ? String(error.stack) : `${error}` }),
    );
  });
  process.once('disconnect', () => void release());
}
