/** The receiver of webhooks, in a process of its own: the module that webhook-receiver.ts starts. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type ReceiverJob, type ReceiverReport, SLOW_PATH } from './webhook-receiver.ts';
import { answerJobs } from './worker-process.ts';

const SLOW_MS = 5_000;

/** The time of the event in the body. The text is searched, because parsing it would compete with the server. */
const EVENT_TIME = /"time":"([^"]+)"/;

/** The lag of the first call of each event, by the path and then by the event's id, in milliseconds. */
const lagsMs = new Map<string, Map<string, number>>();
let calls = 0;

function note(path: string, id: string, receivedMs: number, body: string): void {
  calls += 1;
  const time = EVENT_TIME.exec(body)?.[1];
  if (time === undefined) return;
  const ofPath = lagsMs.get(path) ?? new Map<string, number>();
  lagsMs.set(path, ofPath);
  if (!ofPath.has(id)) ofPath.set(id, receivedMs - Date.parse(time));
}

const server = createServer((request, response) => {
  const receivedMs = Date.now();
  const { url: path = '' } = request;
  let body = '';
  request.setEncoding('utf8');
  request.on('data', (chunk: string) => {
    body += chunk;
  });
  request.on('end', () => {
    note(path, String(request.headers['webhook-id']), receivedMs, body);
    const answer = () => response.writeHead(204).end();
    if (path === SLOW_PATH) setTimeout(answer, SLOW_MS);
    else answer();
  });
});

/** Starts to listen with the first job. */
function port(): Promise<number> {
  return new Promise((resolve) => {
    const portOf = () => resolve((server.address() as AddressInfo).port);
    if (server.listening) portOf();
    else server.listen(0, '127.0.0.1', portOf);
  });
}

async function report({ isReset }: ReceiverJob): Promise<ReceiverReport> {
  const origin = `http://127.0.0.1:${await port()}`;
  const byPath = [...lagsMs].map(([path, lags]) => [path, [...lags.values()]] as const);
  const answer = { origin, calls, lagsMs: Object.fromEntries(byPath) };
  if (isReset) {
    lagsMs.clear();
    calls = 0;
  }
  return answer;
}

answerJobs(report, async () => {
  server.closeAllConnections();
  server.close();
});
