/** Runs the receivers of docs/webhooks.md, and calls them with the sender. */
import { execFile, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { promisify } from 'node:util';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  type WebhookCall,
  type WebhookOutcome,
  WebhookSender,
} from '../../src/infrastructure/webhooks/webhook-sender.js';
import { canRun } from '../support/can-run.js';
import { endProcess } from '../support/end-process.js';
import { freePort } from '../support/free-port.js';
import { writeSnippets } from '../support/snippets.js';

const DOCUMENT = 'docs/webhooks.md';
const LINES_MAX = 30;

const SECRET = `whsec_${Buffer.alloc(32, 1).toString('base64')}`;
const OTHER_SECRET = `whsec_${Buffer.alloc(32, 2).toString('base64')}`;
const TOLERANCE_MS = 300_000;
const MARGIN_MS = 60_000;

const missingPython = await promisify(execFile)('python3', ['--version']).then(
  () => undefined,
  () => 'No python3: apt-get install python3',
);

const RECEIVERS = [
  { name: 'receiver.mjs', program: process.execPath, canStart: true },
  {
    name: 'receiver.py',
    program: 'python3',
    canStart: canRun('the receiver in Python', missingPython),
  },
];

/** Tells whether a port accepts connections. */
function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Starts a receiver. Returns a function that calls it, and one that reads the stored events. */
async function startExample({ name, program }: (typeof RECEIVERS)[number]) {
  const { folder, pathOf } = await writeSnippets(DOCUMENT);
  const port = await freePort();
  const child = spawn(program, [pathOf(name)], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { ...process.env, PORT: String(port), WEBHOOK_SECRET: SECRET },
  });
  onTestFinished(async () => {
    await endProcess(child, 'SIGKILL');
  });
  await expect.poll(() => isListening(port)).toBe(true);
  const sender = new WebhookSender({ allowsLoopback: true, timeoutMs: 60_000 });
  onTestFinished(() => sender.close());
  const send = (overrides: Partial<WebhookCall>): Promise<WebhookOutcome> =>
    sender.send({
      id: 'msg_1',
      url: `http://127.0.0.1:${port}/`,
      body: '{"data":{"name":"Curaçao"}}',
      secrets: [SECRET],
      timestamp: new Date(),
      ...overrides,
    });
  const events = () => {
    const database = new DatabaseSync(join(folder, 'events.db'), { readOnly: true });
    try {
      return database.prepare('select id, body from event order by id').all();
    } finally {
      database.close();
    }
  };
  return { send, events };
}

test('each receiver has at most 30 lines', () => {
  const text = readFileSync(DOCUMENT, 'utf8');
  const examples = [...text.matchAll(/^```\w+ (\S+)\n([\s\S]*?)^```$/gm)];

  expect(examples.map(([, name]) => name)).toEqual(RECEIVERS.map(({ name }) => name));
  for (const [, , source = ''] of examples) {
    expect(source.trimEnd().split('\n').length).toBeLessThanOrEqual(LINES_MAX);
  }
});

describe.for(RECEIVERS.filter(({ canStart }) => canStart))('$name', (receiver) => {
  test('stores an event once, however often it is sent', async () => {
    const { send, events } = await startExample(receiver);

    expect(await send({})).toMatchObject({ httpStatus: 204, error: null });
    const later = new Date(Date.now() + MARGIN_MS);
    expect(await send({ timestamp: later })).toMatchObject({ httpStatus: 204, error: null });
    expect(await send({ id: 'msg_2', body: '{}' })).toMatchObject({ httpStatus: 204 });
    expect(events()).toEqual([
      { id: 'msg_1', body: '{"data":{"name":"Curaçao"}}' },
      { id: 'msg_2', body: '{}' },
    ]);
  });

  test('accepts one matching signature of two', async () => {
    const { send } = await startExample(receiver);

    expect(await send({ secrets: [OTHER_SECRET, SECRET] })).toMatchObject({ httpStatus: 204 });
  });

  test('refuses a wrong signature, and a call that is too old or from the future', async () => {
    const { send, events } = await startExample(receiver);
    const old = new Date(Date.now() - TOLERANCE_MS - MARGIN_MS);
    const future = new Date(Date.now() + TOLERANCE_MS + MARGIN_MS);

    expect(await send({ secrets: [OTHER_SECRET] })).toMatchObject({ httpStatus: 401 });
    expect(await send({ timestamp: old })).toMatchObject({ httpStatus: 401 });
    expect(await send({ timestamp: future })).toMatchObject({ httpStatus: 401 });
    expect(events()).toEqual([]);
  });
});
