/**
 * The phases of a bulk transfer, in their order: it is validated, waits in line, and then its group locks the accounts,
 * writes the rows, and commits.
 */
export const PHASES = ['validate', 'wait', 'lock', 'write', 'commit'] as const;
export type Phase = (typeof PHASES)[number];

/** Runs the work of a phase, and measures it. */
export type RunPhase = <Result>(phase: Phase, work: () => Promise<Result>) => Promise<Result>;
