/**
 * Tells whether a test can run. If something is missing, it prints a warning, or fails if it is required.
 * @param subject the test or the part that needs it
 * @param missing the sentence that says what is missing
 * @param isRequired in CI everything is required, except what a machine may forbid
 */
export function canRun(
  subject: string,
  missing: string | undefined,
  isRequired = process.env.CI === 'true',
): boolean {
  if (missing === undefined) return true;
  if (isRequired) throw new Error(missing);
  console.warn(`\n*** SKIPPED: ${subject}. ${missing} ***\n`);
  return false;
}
