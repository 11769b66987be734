import { execFileSync } from 'node:child_process';

/** Builds what tests run as a process of its own, once for all projects. */
export function setup(): void {
  if (process.env.VIREMENT_TEST_BUILT) return;
  process.env.VIREMENT_TEST_BUILT = 'true';
  for (const script of ['build', 'build:client']) {
    execFileSync('npm', ['run', '--silent', script], { stdio: 'inherit' });
  }
}
