import { execFileSync } from 'node:child_process';

/** Builds the programs that tests run as separate processes, once for all projects. */
export function setup(): void {
  if (process.env.VIREMENT_TEST_BUILT) return;
  process.env.VIREMENT_TEST_BUILT = 'true';
  for (const script of ['build', 'build:client']) {
    execFileSync('npm', ['run', '--silent', script], { stdio: 'inherit' });
  }
}
