/** Whether a test can run; where something lacks it says loudly what, and fails where it must be there. */
export function canRun(what: string, lack: string | undefined): boolean {
  if (lack === undefined) return true;
  if (process.env.CI === 'true') throw new Error(lack);
  console.warn(`\n*** SKIPPED: ${what}. ${lack} ***\n`);
  return false;
}
