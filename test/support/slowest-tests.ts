import type { Reporter, TestModule } from 'vitest/node';

const LISTED_MAX = 10;

/** Lists the tests of a run that took longest, with their seconds, their file and their title. */
export class SlowestTests implements Reporter {
  onTestRunEnd(modules: readonly TestModule[]): void {
    const tests = modules.flatMap((module) =>
      [...module.children.allTests()].map((test) => ({
        seconds: (test.diagnostic()?.duration ?? 0) / 1_000,
        title: `${module.project.name} ${module.relativeModuleId}: ${test.fullName}`,
      })),
    );
    const slowest = tests.toSorted((one, other) => other.seconds - one.seconds);
    console.log(`\nThe slowest of ${tests.length} tests:`);
    for (const { seconds, title } of slowest.slice(0, LISTED_MAX)) {
      console.log(`${seconds.toFixed(1).padStart(8)} s  ${title}`);
    }
  }
}
