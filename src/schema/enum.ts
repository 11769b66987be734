/** Returns the object from which type-graphql makes an enum. Each value has its own name. */
export function enumOf<Value extends string>(
  values: readonly Value[],
): { readonly [Each in Value]: Each } {
  return Object.fromEntries(values.map((value) => [value, value])) as {
    readonly [Each in Value]: Each;
  };
}

/** A description for each value of an enum. A missing description does not compile. */
export type Descriptions<Value extends string> = Readonly<
  Record<Value, { readonly description: string }>
>;
