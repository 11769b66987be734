/** The summary of many measurements. */
export interface Summary {
  readonly median: number;
  readonly p99: number;
  readonly samples: number;
}

/**
 * Returns the nearest-rank percentile.
 * @param values at least one, in any order
 * @param share 0 to 1
 */
export function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  const value = sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)];
  if (value === undefined) throw new Error('Nothing was measured');
  return value;
}

export function summarise(values: readonly number[]): Summary {
  return {
    median: percentile(values, 0.5),
    p99: percentile(values, 0.99),
    samples: values.length,
  };
}

/** Rounds to one decimal place. */
export function roundToTenth(value: number): number {
  return Math.round(value * 10) / 10;
}
