/** Files of transfers as clients send them. */
import type { Client } from './client.js';

const HEADER = 'beneficiary_name,iban,bic,amount,currency,reference,end_to_end_id';

/** A CSV file of valid rows, one euro each. */
export function csvOf(rowCount: number, { amount = '1.00', hasIds = true } = {}): string {
  const rows = Array.from(
    { length: rowCount },
    (_, row) =>
      `Jane Doe,DE89370400440532013000,,${amount},EUR,Invoice ${row},${hasIds ? `E${row}` : ''}`,
  );
  return [HEADER, ...rows, ''].join('\n');
}

/** A pain.001.001.09 file with an order of some rows for each IBAN to debit. */
export function pain001Of(ibans: readonly string[], rowCount: number): string {
  const transfer = (iban: string, row: number) => `<CdtTrfTxInf>
    <PmtId><EndToEndId>${iban.slice(-4)}-${row}</EndToEndId></PmtId>
    <Amt><InstdAmt Ccy="EUR">1.00</InstdAmt></Amt>
    <Cdtr><Nm>Jane Doe</Nm></Cdtr>
    <CdtrAcct><Id><IBAN>DE89370400440532013000</IBAN></Id></CdtrAcct>
    <RmtInf><Ustrd>Invoice ${row}</Ustrd></RmtInf></CdtTrfTxInf>`;
  const payments = ibans.map(
    (iban, part) => `<PmtInf><PmtInfId>Part ${part}</PmtInfId><PmtMtd>TRF</PmtMtd>
    <NbOfTxs>${rowCount}</NbOfTxs><CtrlSum>${rowCount}.00</CtrlSum>
    <ReqdExctnDt><Dt>2031-01-31</Dt></ReqdExctnDt><Dbtr><Nm>A company</Nm></Dbtr>
    <DbtrAcct><Id><IBAN>${iban}</IBAN></Id></DbtrAcct>
    <DbtrAgt><FinInstnId><Othr><Id>NOTPROVIDED</Id></Othr></FinInstnId></DbtrAgt>
    ${Array.from({ length: rowCount }, (_, row) => transfer(iban, row)).join('')}</PmtInf>`,
  );
  const total = ibans.length * rowCount;
  return `<?xml version="1.0" encoding="UTF-8"?>
<Document xmlns="urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"><CstmrCdtTrfInitn><GrpHdr>
<MsgId>M1</MsgId><CreDtTm>2026-11-28T12:00:00Z</CreDtTm><NbOfTxs>${total}</NbOfTxs>
<CtrlSum>${total}.00</CtrlSum><InitgPty><Nm>A company</Nm></InitgPty></GrpHdr>
${payments.join('')}</CstmrCdtTrfInitn></Document>`;
}

interface ImportOptions {
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Posts a file, or a form with one. */
export function postFile(
  url: string,
  body: string | Uint8Array<ArrayBuffer> | FormData,
  { query = {}, headers = {} }: ImportOptions = {},
): Promise<Response> {
  const type = body instanceof FormData ? {} : { 'content-type': 'text/csv' };
  return fetch(`${url}/imports?${new URLSearchParams(query)}`, {
    method: 'POST',
    headers: { ...type, ...headers },
    body,
  });
}

/** Returns everything that a front end shows of an imported order. */
export async function importedOrder(client: Client, id: string) {
  const { order } = await client.data(
    `query ($id: ID!) { order(id: $id) {
      id name status source fileName executionDate rowCount problemCount
      account { iban } totalAmount { amount currency } balanceAfter { amount }
      rows(first: 10) { nodes { row line amount counterpartyName description endToEndId } }
      problems(first: 20) { totalCount nodes { row line column field code value } }
      warnings(first: 20) { nodes { row line field code value order { id } bulkTransfer { id } } }
    } }`,
    { id },
  );
  return order;
}
