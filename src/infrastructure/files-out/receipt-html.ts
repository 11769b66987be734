/**
 * A receipt to print: one page of HTML that loads nothing and runs no script. Its policy is in the page as well, because
 * a file that was stored has no headers.
 */
import { createHash } from 'node:crypto';
import type { ExportedTransfer, TransfersContent } from '../../application/ports/exports.js';
import type { OrderStatus } from '../../domain/kinds.js';
import { formatAmount } from '../../domain/money.js';

const STYLE = `
:root { color-scheme: light; }
body { font: 11pt/1.4 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 1rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1.5rem; margin: 0 0 1.5rem; }
dt { color: #555; }
dd { margin: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #ccc; padding: .3rem .5rem; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th.amount, td.amount { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.problem { color: #a00; }
footer { color: #555; font-size: .85em; margin-top: 1.5rem; }
@media print {
  body { font-size: 9pt; margin: 0; max-width: none; padding: 0; }
  thead { display: table-header-group; }
  tr { break-inside: avoid; }
  @page { margin: 15mm; }
}
`;

const STYLE_HASH = createHash('sha256').update(STYLE).digest('base64');

/** The content security policy of a receipt. It allows the page's own styles alone. */
export const RECEIPT_POLICY = `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; base-uri 'none'; form-action 'none'`;

const STATES: Readonly<Record<OrderStatus, string>> = {
  DRAFT: 'draft: not performed',
  SUBMITTED: 'submitted: not performed yet',
  PERFORMED: 'performed',
  FAILED: 'failed: not performed',
  CANCELLED: 'cancelled: not performed',
  EXPIRED: 'expired: not performed',
};

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Returns a text for the content of an element. A control character would be a parse error of HTML. */
function escapeHtml(text: string | null): string {
  return (text ?? '')
    .toWellFormed()
    .replace(/\p{Cc}/gu, ' ')
    .replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

export async function* writeReceipt(transfers: TransfersContent): AsyncGenerator<string> {
  yield headOf(transfers);
  let number = 0;
  for await (const page of transfers.pages) {
    const first = number;
    number += page.length;
    yield page.map((row, index) => rowOf(row, first + index, transfers)).join('');
  }
  yield `</tbody></table>
<footer>Written at ${transfers.createdAt.toISOString()}, file ${transfers.id}.</footer>
</body></html>
`;
}

function headOf(transfers: TransfersContent): string {
  const { account, type, transferCount, totalAmountMinor } = transfers;
  const title = type === 'order' ? 'Bulk transfer order' : 'Bulk transfer';
  const total =
    totalAmountMinor === null
      ? 'unknown: an amount cannot be read'
      : `${formatAmount(totalAmountMinor, account.currency)} ${account.currency}`;
  const facts: readonly (readonly [string, string | null])[] = [
    ['State', stateOf(transfers)],
    ['Name', transfers.name],
    ['File', transfers.fileName],
    ['Debited account', `${account.organizationName}, ${account.iban}, ${account.bic}`],
    ['Transfers', String(transferCount)],
    ['Total', total],
    ['Performed at', transfers.performedAt?.toISOString() ?? null],
    ['Id', transfers.subjectId],
  ];
  const list = facts
    .filter(([, value]) => value !== null)
    .map(([name, value]) => `<dt>${name}</dt><dd>${escapeHtml(value)}</dd>`);
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${RECEIPT_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title} ${transfers.subjectId}</title>
<style>${STYLE}</style></head>
<body><h1>${title}</h1>
<dl>${list.join('\n')}</dl>
<table><thead><tr><th>#</th><th>Beneficiary</th><th>IBAN</th><th>BIC</th><th>Reference</th>
<th>End-to-end id</th><th class="amount">Amount</th></tr></thead><tbody>
`;
}

function stateOf({ status, performedCount, transferCount }: TransfersContent): string {
  const isPartly = performedCount > 0 && performedCount < transferCount;
  return isPartly ? `the first ${performedCount} transfers are performed` : STATES[status];
}

function rowOf(row: ExportedTransfer, number: number, { account }: TransfersContent): string {
  const cells = [row.counterpartyName, row.counterpartyIban, row.counterpartyBic, row.description];
  const problems = row.problems
    .map(({ field, message }) => `<div class="problem">${escapeHtml(`${field}: ${message}`)}</div>`)
    .join('');
  const amount = `${row.amount ?? ''} ${row.currency ?? account.currency}`;
  return `<tr><td>${number + 1}</td>${cells.map((cell) => `<td>${escapeHtml(cell)}</td>`).join('')}<td>${escapeHtml(row.endToEndId)}${problems}</td><td class="amount">${escapeHtml(amount)}</td></tr>
`;
}
