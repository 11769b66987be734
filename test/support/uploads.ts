/** Files that are sent to POST /imports part by part, while a test watches how far the server is. */
import { type ClientRequest, request } from 'node:http';
import { ACME } from './builders.js';
import { postFile } from './imports.js';

/** The events of an import that is not complete. */
export type UploadEvent = 'begin' | 'progress';

/** The interval between requests that repeat an import. */
const REPEAT_MS = 500;

/** The time after which a repeated import is given up. It is longer than the lease of a server that died. */
const REPEAT_MAX_MS = 200_000;

/** A file on its way. The connection may end at any time: its server may be killed. */
export class Upload {
  readonly #request: ClientRequest;
  readonly #file: Buffer;
  readonly #wakeUps = new Set<() => void>();
  #answer = '';
  #isOver = false;

  constructor(url: string, file: string, idempotencyKey: string) {
    this.#file = Buffer.from(file);
    this.#request = request(`${url}/imports?account=${ACME}`, {
      method: 'POST',
      headers: {
        'content-type': 'text/csv',
        'content-length': this.#file.length,
        'idempotency-key': idempotencyKey,
        accept: 'text/event-stream',
      },
    });
    this.#request.on('error', () => {});
    this.#request.on('close', () => this.#change({ isOver: true }));
    this.#request.on('response', (response) => {
      response.setEncoding('utf8');
      response.on('error', () => {});
      response.on('data', (text: string) => this.#change({ text }));
    });
  }

  /** Sends the first half of the file, and waits until the operating system has it. */
  async sendHalf(): Promise<void> {
    const half = this.#file.subarray(0, this.#file.length / 2);
    await new Promise((resolve) => this.#request.write(half, resolve));
  }

  /** Sends the whole file. */
  async send(): Promise<void> {
    await new Promise<void>((resolve) => this.#request.end(this.#file, resolve));
  }

  /** Waits for an event. A connection that ended, or an answer that is complete, has no further events. */
  async until(event: UploadEvent): Promise<void> {
    while (!this.#isOver && !this.#answer.includes(`event: ${event}\n`)) {
      await new Promise<void>((resolve) => this.#wakeUps.add(resolve));
    }
  }

  #change({ text = '', isOver = false }): void {
    this.#answer += text;
    this.#isOver ||= isOver;
    for (const wake of this.#wakeUps) wake();
    this.#wakeUps.clear();
  }
}

/**
 * Sends a file with an idempotency key, again while an earlier request with the key is in progress.
 * @returns the id of its order
 */
export async function importOnce(url: string, file: string, key: string): Promise<string> {
  const deadline = Date.now() + REPEAT_MAX_MS;
  for (;;) {
    const headers = { 'idempotency-key': key };
    const response = await postFile(url, file, { query: { account: ACME }, headers });
    const text = await response.text();
    if (response.ok) return JSON.parse(text).orders[0].id;
    if (response.status !== 409 || !text.includes('IMPORT_IN_PROGRESS') || Date.now() > deadline) {
      throw new Error(`${response.status}: ${text}`);
    }
    await new Promise((resolve) => setTimeout(resolve, REPEAT_MS));
  }
}
