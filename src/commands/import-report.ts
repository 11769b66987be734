/** What npm run import prints: a progress bar on a terminal, then a summary of each order and tables of findings. */
import { SingleBar } from 'cli-progress';
import {
  FINDINGS_SHOWN_MAX,
  type Finding,
  type Findings,
  type OrderDetails,
} from './imported-orders.js';
import { printable } from './server-client.js';

/** The progress bar of the current phase. It prints nothing if stdout is no terminal. */
export class ProgressBar {
  #bar: SingleBar | undefined;
  #phase = '';

  show(phase: string, done: number, total: number | null): void {
    if (!process.stdout.isTTY) return;
    if (phase !== this.#phase) {
      this.stop();
      this.#phase = phase;
      this.#bar = new SingleBar({
        format: `${phase.padEnd(9)} [{bar}] {value}/{total}`,
        stream: process.stdout,
      });
      this.#bar.start(total ?? done, done);
    }
    this.#bar?.setTotal(Math.max(total ?? 0, done));
    this.#bar?.update(done);
  }

  stop(): void {
    this.#bar?.stop();
    this.#bar = undefined;
    this.#phase = '';
  }
}

/** Returns the lines about an order. */
export function summaryOf(order: OrderDetails): string {
  const { id, name, status, account, rowCount, totalAmount, balanceAfter, problemCount } = order;
  const facts: readonly (readonly [string, string])[] = [
    ['status', status],
    ...(name === null ? [] : [['name', printable(name)] as const]),
    ['account', account.iban],
    ['rows', String(rowCount)],
    ['total', moneyText(totalAmount) ?? 'unknown: an amount cannot be read'],
    ...(balanceAfter ? [['balance after', moneyText(balanceAfter) ?? ''] as const] : []),
    ['problems', String(problemCount)],
  ];
  return [`order ${id}`, ...facts.map(([name, text]) => `  ${name.padEnd(14)}${text}`)].join('\n');
}

function moneyText(money: OrderDetails['totalAmount']): string | undefined {
  return money ? `${money.amount} ${money.currency}` : undefined;
}

/**
 * Returns a table of the first problems or warnings, and how many there are.
 * @param count the number of all of them; null if it is not known
 */
export function tableOf(what: string, { nodes }: Findings, count: number | null): string {
  const rows = nodes.slice(0, FINDINGS_SHOWN_MAX).map(cellsOf);
  const head = ['row', 'line', 'column', 'code', 'message'];
  const widths = head.map((name, at) =>
    Math.max(name.length, ...rows.map((cells) => cells[at]?.length ?? 0)),
  );
  const lines = [head, ...rows].map((cells) =>
    `  ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd(),
  );
  const isComplete = count === rows.length;
  const title = isComplete ? what : `${what}, the first ${rows.length} of ${count ?? 'more'}`;
  return [title, ...lines].join('\n');
}

/** Returns the cells of a row. The row counts from 0, as in the API; the line from 1, as in the file. */
function cellsOf({ row, line, column, code, message }: Finding): string[] {
  const cells = [row ?? '-', line ?? '-', column ?? '-', code, message];
  return cells.map((cell) => printable(String(cell)).replaceAll('\n', ' '));
}
