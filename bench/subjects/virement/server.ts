/** The server under test: the built server in a process of its own, with the requests that prepare it. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { BIC, OPENING_BALANCE } from '../../harness/bulk-requests.ts';
import { DIST } from '../../harness/paths.ts';
import { type ResidentMb, ServerProcess } from '../../harness/server-process.ts';
import { authorization, TOKEN_SETTINGS } from './access-token.ts';
import { GRAPHQL_PATH } from './requests.ts';

const DRAIN_MAX_MS = 120_000;
const DRAIN_POLL_MS = 100;

const OPEN_ACCOUNT = `
  mutation ($input: OpenAccountInput!) {
    openAccount(input: $input) {
      ... on AccountOpened { account { organizationId } }
      ... on UserError { message }
    }
  }`;

export interface VirementOptions {
  /** Whether callers show a token, as in production. Without authentication all are one caller. */
  readonly hasAuthentication?: boolean;
  /** Settings in addition to the database and the authentication. */
  readonly env?: Readonly<Record<string, string>>;
  readonly nodeOptions?: readonly string[];
  /** The main module of another build. */
  readonly script?: string;
}

const WITHOUT_AUTHENTICATION = { AUTH: 'off', NODE_ENV: 'development' };

export class VirementServer {
  readonly #process: ServerProcess;
  readonly #hasAuthentication: boolean;

  private constructor(process: ServerProcess, hasAuthentication: boolean) {
    this.#process = process;
    this.#hasAuthentication = hasAuthentication;
  }

  static async start(databaseUrl: string, options: VirementOptions = {}): Promise<VirementServer> {
    const { hasAuthentication = true, nodeOptions = [], script = join(DIST, 'main.js') } = options;
    const access = hasAuthentication ? TOKEN_SETTINGS : WITHOUT_AUTHENTICATION;
    const env = { DATABASE_URL: databaseUrl, SEED_DEMO: 'false', ...access, ...options.env };
    const process = await ServerProcess.start(script, { env, nodeOptions });
    return new VirementServer(process, hasAuthentication);
  }

  get origin(): string {
    return this.#process.origin;
  }

  /** Sends a GraphQL request, and returns the answer with any status. */
  send(query: string, variables: object = {}): Promise<Response> {
    return fetch(`${this.origin}${GRAPHQL_PATH}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.#hasAuthentication && { authorization: authorization() }),
      },
      body: JSON.stringify({ query, variables }),
    });
  }

  /** Sends a GraphQL request, and returns the text of the answer. @throws Error unless the status is 200 */
  async ask(query: string, variables: object = {}): Promise<string> {
    const response = await this.send(query, variables);
    const text = await response.text();
    if (response.status !== 200) throw new Error(text);
    return text;
  }

  /**
   * Opens an account with a large balance.
   * @param organizationId the organization that owns it; a new one unless given
   * @returns the id of the organization
   */
  async openAccount(iban: string, organizationId?: string): Promise<string> {
    const answer = await this.ask(OPEN_ACCOUNT, {
      input: {
        organizationId,
        organizationName: 'Company',
        iban,
        bic: BIC,
        openingBalance: OPENING_BALANCE,
      },
    });
    const { account } = JSON.parse(answer).data?.openAccount ?? {};
    if (!account) throw new Error(answer);
    return account.organizationId;
  }

  /** Waits until the outbox is empty, because a message published later would count in the next measurement. */
  async untilPublished(): Promise<void> {
    const deadline = Date.now() + DRAIN_MAX_MS;
    while (!(await this.ask('{ outbox { due } }')).includes('"due":0')) {
      if (Date.now() > deadline) {
        throw new Error(`The outbox is not empty after ${DRAIN_MAX_MS / 1_000} seconds`);
      }
      await sleep(DRAIN_POLL_MS);
    }
  }

  resident(): Promise<ResidentMb | undefined> {
    return this.#process.resident();
  }

  stop(): Promise<void> {
    return this.#process.stop();
  }
}
