/** Returns the object that type-graphql makes an enum of: each value under its own name. */
export function enumOf<Value extends string>(
  values: readonly Value[],
): { readonly [Each in Value]: Each } {
  return Object.fromEntries(values.map((value) => [value, value])) as {
    readonly [Each in Value]: Each;
  };
}

/** A description of each value of an enum: one that is missing does not compile. */
export type Descriptions<Value extends string> = Readonly<
  Record<Value, { readonly description: string }>
>;
