/** The server as a command on any machine uses it: GraphQL, files and progress over HTTP, with the caller's token. */
import { ExplainedError } from '../infrastructure/observability/explained-error.js';
import { reasonOf } from '../infrastructure/observability/secrets.js';

/** The largest length of one event in characters. The longest lists the 100 orders of a file, in some 60,000. */
const EVENT_LENGTH_MAX = 1_024 * 1_024;

/** A refusal of the server, or no answer. The message alone explains it. */
export class ServerError extends ExplainedError {
  /** @param code the code in the answer; undefined without an answer of Virement */
  constructor(
    message: string,
    readonly code?: string,
  ) {
    super(message);
  }
}

interface GraphQLError {
  readonly message: string;
  readonly extensions?: {
    readonly code?: string;
    readonly problems?: readonly { readonly field: string; readonly message: string }[];
  };
}

interface Answer<Data> {
  readonly data?: Data | null;
  readonly errors?: readonly GraphQLError[];
}

/** An event of a stream, with its data parsed. */
export interface ServerEvent {
  readonly event: string;
  readonly content: unknown;
}

/** The options of fetch that send a body. */
type Body = Pick<RequestInit, 'body' | 'duplex' | 'signal'>;

export class ServerClient {
  readonly url: string;

  /**
   * @param url the address of the server, with or without /graphql
   * @throws ExplainedError if the address or the token cannot be sent
   */
  constructor(
    url: string,
    private readonly token: string | undefined,
  ) {
    if (!/^https?:$/.test(URL.parse(url)?.protocol ?? '')) {
      throw new ExplainedError(`--url is ${reasonOf(url)}; it must be http://HOST or https://HOST`);
    }
    this.url = url.replace(/\/+$/, '').replace(/\/graphql$/, '');
    if (token !== undefined && !/^[\x21-\x7e]+$/.test(token)) {
      throw new ExplainedError('VIREMENT_TOKEN has a character that no token has');
    }
  }

  /** Sends an operation. @throws ServerError for an answer with errors, and without an answer */
  async send<Data>(query: string, variables: object): Promise<Data> {
    const response = await this.#post('/graphql', 'application/json', {
      body: JSON.stringify({ query, variables }),
    });
    const answer = await answerOf<Data>(response);
    const [error] = answer?.errors ?? [];
    if (error) throw this.#refusal(error, response);
    if (!answer?.data) throw this.#foreign(response);
    return answer.data;
  }

  /**
   * Posts a body and yields the events of the answer, until its end.
   * @throws ServerError for a refusal, and if the connection is lost
   */
  async *stream(
    path: string,
    body: Body,
    headers: Readonly<Record<string, string>>,
  ): AsyncGenerator<ServerEvent, undefined> {
    const response = await this.#post(path, 'text/event-stream', body, headers);
    const isStream = response.headers.get('content-type')?.startsWith('text/event-stream');
    if (!response.ok || !isStream || !response.body) {
      const answer = await answerOf<unknown>(response);
      const [error] = answer?.errors ?? [];
      throw error ? this.#refusal(error, response) : this.#foreign(response);
    }
    try {
      for await (const event of eventsOf(response.body)) {
        if (event.event === 'error') throw this.#refusal(firstErrorOf(event.content), response);
        yield event;
      }
    } catch (error) {
      if (error instanceof ServerError) throw error;
      throw this.#lost(error);
    }
  }

  async #post(
    path: string,
    accept: string,
    body: Body,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Response> {
    try {
      return await fetch(`${this.url}${path}`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          accept,
          ...(this.token !== undefined && { authorization: `Bearer ${this.token}` }),
          ...headers,
        },
        ...body,
      });
    } catch (error) {
      throw this.#lost(error);
    }
  }

  #lost(error: unknown): ServerError {
    // The error of fetch itself only says that it failed.
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const code = reason instanceof Error && 'code' in reason ? ` (${String(reason.code)})` : '';
    return new ServerError(`No answer from ${this.#name}: ${reasonOf(reason) || 'failed'}${code}`);
  }

  #refusal(error: GraphQLError, { status }: Response): ServerError {
    const { code, problems = [] } = error.extensions ?? {};
    if (status === 401 || code === 'UNAUTHENTICATED') return this.#unauthenticated();
    const details = problems.map(({ field, message }) => `\n  ${field}: ${message}`).join('');
    return new ServerError(
      printable(`${error.message} (${code ?? status})`) + printable(details),
      code,
    );
  }

  #unauthenticated(): ServerError {
    const advice = this.token === undefined ? 'needs a token' : 'does not accept the token';
    return new ServerError(
      `The server ${advice} (401): set VIREMENT_TOKEN to a token or an API key that it accepts`,
      'UNAUTHENTICATED',
    );
  }

  #foreign({ status }: Response): ServerError {
    if (status === 401) return this.#unauthenticated();
    return new ServerError(
      `${this.#name} answered with HTTP status ${status}, but not as Virement does: check --url`,
    );
  }

  get #name(): string {
    return reasonOf(this.url);
  }
}

async function answerOf<Data>(response: Response): Promise<Answer<Data> | undefined> {
  try {
    const answer: unknown = await response.json();
    return typeof answer === 'object' && answer !== null ? answer : undefined;
  } catch {
    return undefined;
  }
}

function firstErrorOf(content: unknown): GraphQLError {
  const [error] = (content as Answer<unknown>).errors ?? [];
  return error ?? { message: 'The server gave no reason' };
}

/** Parses the events that Virement sends: each has the name and one line of JSON. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  let text = '';
  for await (const piece of body.pipeThrough(new TextDecoderStream())) {
    const [last = '', ...complete] = (text + piece).split('\n\n').reverse();
    if (last.length > EVENT_LENGTH_MAX) throw new Error('an event is too long');
    text = last;
    for (const event of complete.reverse()) {
      const fields = new Map(
        event.split('\n').map((line) => {
          const colon = line.indexOf(': ');
          return [line.slice(0, colon), line.slice(colon + 2)] as const;
        }),
      );
      const content = fields.get('data') || 'null';
      yield { event: fields.get('event') ?? '', content: JSON.parse(content) };
    }
  }
}

/** Returns a text of a server or a file for a terminal: without control characters, except line breaks. */
export function printable(text: string): string {
  return text.toWellFormed().replace(/[^\P{C}\n]/gu, '�');
}
