/**
 * Whether a test can run; where something lacks it says loudly what, and fails where it must be there.
 * @param isRequired in CI everything is, but for what a machine may forbid
 */
export function canRun(
  what: string,
  lack: string | undefined,
  isRequired = process.env.CI === 'true',
): boolean {
  if (lack === undefined) return true;
  if (isRequired) throw new Error(lack);
  console.warn(`\n*** SKIPPED: ${what}. ${lack} ***\n`);
  return false;
}
