/**
 * Measures files of transfers: how many rows a second the server reads, performs and writes, and what that costs the small
 * bulks of another account meanwhile. Server and load client are processes of their own, on one machine; run the program
 * on a quiet one.
 *
 *   npm run bench:files [-- --database sqlite|mariadb --rows 100000]
 *
 * An import runs from the first byte of the upload until the draft is complete. A download runs until its last byte.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import {
  BULK_ACCOUNT,
  bulkRequest,
  type CreditTransfer,
  HOT_ACCOUNT,
} from './harness/bulk-requests.ts';
import { type LoadClient, startLoadClient } from './harness/load-client.ts';
import { describeMachine, machineLine } from './harness/machine.ts';
import { logProgress, runProgram } from './harness/program.ts';
import { percentile, roundToTenth } from './harness/statistics.ts';
import { createLedger, parseLedgerDatabase, verifyLedger } from './subjects/virement/ledger.ts';
import { probeDuring } from './subjects/virement/probe.ts';
import { VirementServer } from './subjects/virement/server.ts';

const MINUTES_MAX = 15;
/** The probe measures the server without other work for this time. */
const QUIET_MS = 5_000;
const PERFORMED_MAX_MS = 300_000;
const PERFORMED_POLL_MS = 50;
/** Characters with a meaning in XML. */
const ESCAPED: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;' };

const { values: options } = parseArgs({
  options: {
    database: { type: 'string', default: 'sqlite' },
    rows: { type: 'string', default: '100000' },
  },
});
const kind = parseLedgerDatabase(options.database);
const rows = Number(options.rows);

const SUBMIT = 'mutation ($id: ID!) { submitOrder(id: $id) { __typename } }';
const STATUS = 'query ($id: ID!) { order(id: $id) { status } }';

function csvOf(transfers: readonly CreditTransfer[]): string {
  const lines = transfers.map(
    ({ counterpartyName, counterpartyIban, amount, description }, row) =>
      `${counterpartyName},${counterpartyIban},${amount},EUR,${description},E-${row}`,
  );
  return ['beneficiary_name,iban,amount,currency,reference,end_to_end_id', ...lines, ''].join('\n');
}

const escaped = (text: string) => text.replaceAll(/[&<>]/g, (one) => ESCAPED[one] ?? one);

/** Returns a pain.001.001.09 file of transfers of one cent each. */
function pain001Of(transfers: readonly CreditTransfer[]): string {
  const payments = transfers.map(
    ({ counterpartyName, counterpartyIban, amount, description }, row) =>
      `<CdtTrfTxInf><PmtId><EndToEndId>X-${row}</EndToEndId></PmtId>
<Amt><InstdAmt Ccy="EUR">${amount}</InstdAmt></Amt><Cdtr><Nm>${escaped(counterpartyName)}</Nm></Cdtr>
<CdtrAcct><Id><IBAN>${counterpartyIban}</IBAN></Id></CdtrAcct>
<RmtInf><Ustrd>${escaped(description)}</Ustrd></RmtInf></CdtTrfTxInf>`,
  );
  const sums = `<NbOfTxs>${rows}</NbOfTxs><CtrlSum>${(rows / 100).toFixed(2)}</CtrlSum>`;
  return `<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn><GrpHdr>
<MsgId>M1</MsgId><CreDtTm>2026-11-28T12:00:00Z</CreDtTm>${sums}<InitgPty><Nm>Company</Nm></InitgPty></GrpHdr>
<PmtInf><PmtInfId>P1</PmtInfId><PmtMtd>TRF</PmtMtd>${sums}
<ReqdExctnDt><Dt>2031-01-31</Dt></ReqdExctnDt><Dbtr><Nm>Company</Nm></Dbtr>
<DbtrAcct><Id><IBAN>${BULK_ACCOUNT}</IBAN></Id></DbtrAcct>
<DbtrAgt><FinInstnId><Othr><Id>NOTPROVIDED</Id></Othr></FinInstnId></DbtrAgt>
${payments.join('\n')}</PmtInf></CstmrCdtTrfInitn></Document>`;
}

/** Imports a file. @returns the id of its order */
async function importFile(server: VirementServer, type: string, file: string): Promise<string> {
  const response = await fetch(`${server.origin}/imports?account=${BULK_ACCOUNT}`, {
    method: 'POST',
    headers: { 'content-type': type },
    body: file,
  });
  const text = await response.text();
  const [order] = response.status === 201 ? JSON.parse(text).orders : [];
  if (order?.rowCount !== rows || order.problemCount > 0) throw new Error(text);
  return order.id;
}

async function perform(server: VirementServer, id: string): Promise<void> {
  await server.ask(SUBMIT, { id });
  const deadline = Date.now() + PERFORMED_MAX_MS;
  while (!(await server.ask(STATUS, { id })).includes('"PERFORMED"')) {
    if (Date.now() > deadline) throw new Error('The order is not performed in time');
    await sleep(PERFORMED_POLL_MS);
  }
}

/** Takes the status file of an order, and throws its bytes away. */
async function download(server: VirementServer, id: string, format: 'csv' | 'xml'): Promise<void> {
  const response = await fetch(`${server.origin}/exports/orders/${id}.${format}`);
  if (response.status !== 200) throw new Error(await response.text());
  for await (const _ of response.body ?? []);
}

/** Measures work in turn, each beside the probe, and keeps a line of the table for each. */
class Measurements {
  readonly lines: Record<string, object> = {};
  readonly #server: VirementServer;
  readonly #client: LoadClient;
  #quietMs: readonly number[] = [];

  constructor(server: VirementServer, client: LoadClient) {
    this.#server = server;
    this.#client = client;
  }

  async measureQuiet(): Promise<void> {
    logProgress('small bulks alone');
    await probeDuring(this.#client, this.#server.origin, sleep(QUIET_MS / 5));
    this.#quietMs = await probeDuring(this.#client, this.#server.origin, sleep(QUIET_MS));
    this.lines['nothing else'] = this.#latencies(this.#quietMs);
  }

  async measure<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
    logProgress(what);
    const startedAt = performance.now();
    let elapsedMs = 0;
    const working = work().finally(() => {
      elapsedMs = performance.now() - startedAt;
    });
    const probedMs = await probeDuring(this.#client, this.#server.origin, working);
    const resident = await this.#server.resident();
    this.lines[what] = {
      seconds: roundToTenth(elapsedMs / 1_000),
      'rows/s': Math.round((rows / elapsedMs) * 1_000),
      ...this.#latencies(probedMs),
      'RSS peak so far, MB': Math.round(resident?.peak ?? 0),
    };
    return working;
  }

  #latencies(latenciesMs: readonly number[]): object {
    const [p50, p99] = [percentile(latenciesMs, 0.5), percentile(latenciesMs, 0.99)];
    const ratioOf = (ms: number, share: number) =>
      (ms / percentile(this.#quietMs, share)).toFixed(1);
    return {
      'small bulk p50, ms': roundToTenth(p50),
      'p99, ms': roundToTenth(p99),
      'p50, ratio': ratioOf(p50, 0.5),
      'p99, ratio': ratioOf(p99, 0.99),
    };
  }
}

async function measureFiles(): Promise<void> {
  const { url } = await createLedger(kind, 'files');
  const server = await VirementServer.start(url, { hasAuthentication: false });
  for (const iban of [BULK_ACCOUNT, HOT_ACCOUNT]) await server.openAccount(iban);
  const { creditTransfers } = bulkRequest(BULK_ACCOUNT, rows);
  const csv = csvOf(creditTransfers);
  const xml = pain001Of(creditTransfers);
  const measurements = new Measurements(server, startLoadClient());
  await measurements.measureQuiet();
  const id = await measurements.measure('import of CSV', () => importFile(server, 'text/csv', csv));
  await measurements.measure('import of pain.001', () =>
    importFile(server, 'application/xml', xml),
  );
  await measurements.measure('performing the order', () => perform(server, id));
  await measurements.measure('export of CSV', () => download(server, id, 'csv'));
  await measurements.measure('export of pain.002', () => download(server, id, 'xml'));
  await server.stop();
  logProgress('verify');
  await verifyLedger(url);
  console.log(machineLine(describeMachine()));
  console.log(`${kind}, ${rows} rows`);
  console.table(measurements.lines);
}

await runProgram(MINUTES_MAX, measureFiles);
