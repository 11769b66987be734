import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { onTestFinished } from 'vitest';

/** A call of a webhook, as its receiver saw it. */
export interface ReceivedCall {
  readonly id: string;
  readonly at: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  // biome-ignore lint/suspicious/noExplicitAny: what comes in is what the test asserts
  readonly event: any;
}

type Answer = (call: ReceivedCall, response: ServerResponse, request: IncomingMessage) => void;

/** A company's server that receives webhooks. */
export class Receiver {
  readonly calls: ReceivedCall[] = [];
  /** Answers each call. Tests replace it. */
  answer: Answer = (_call, response) => response.writeHead(204).end();
  readonly #server = createServer((request, response) => void this.#receive(request, response));

  /** Starts a receiver, which stops when the test ends. */
  static async start(port = 0): Promise<Receiver> {
    const receiver = new Receiver();
    receiver.#server.listen(port, '127.0.0.1');
    await once(receiver.#server, 'listening');
    onTestFinished(() => receiver.stop());
    return receiver;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/hook`;
  }

  /** The ids of the received events, in the order of arrival. */
  get ids(): string[] {
    return this.calls.map(({ id }) => id);
  }

  /** Verifies the signature of a call. @throws if no signature is right */
  verify({ body, headers }: ReceivedCall, secret: string): void {
    new Webhook(secret).verify(body, { ...headers });
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  async #receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const headers = request.headers as Record<string, string>;
    const event = JSON.parse(body);
    const call = { id: headers['webhook-id'] ?? '', at: Date.now(), headers, body, event };
    this.calls.push(call);
    this.answer(call, response, request);
  }
}
