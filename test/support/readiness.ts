/** What /readyz says. */
export interface Readiness {
  readonly code: number;
  readonly status: string;
  readonly parts: Readonly<
    Record<string, { readonly status: string; readonly reasons?: readonly string[] }>
  >;
}

/** Asks a server whether it can take bulks. */
export async function readinessOf(url: string): Promise<Readiness> {
  const response = await fetch(`${url}/readyz`);
  return { code: response.status, ...((await response.json()) as Omit<Readiness, 'code'>) };
}

/** Asks a server how it stands with its broker. */
export async function brokerStatusOf(url: string): Promise<string | undefined> {
  return (await readinessOf(url)).parts.broker?.status;
}
