/** The answer of /readyz. */
export interface Readiness {
  readonly code: number;
  readonly status: string;
  readonly parts: Readonly<
    Record<string, { readonly status: string; readonly reasons?: readonly string[] }>
  >;
}

/** Requests the readiness of a server. */
export async function readinessOf(url: string): Promise<Readiness> {
  const response = await fetch(`${url}/readyz`);
  return { code: response.status, ...((await response.json()) as Omit<Readiness, 'code'>) };
}

/** Requests the state of a server's broker. */
export async function brokerStatusOf(url: string): Promise<string | undefined> {
  return (await readinessOf(url)).parts.broker?.status;
}
