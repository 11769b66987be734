/** Sums of amounts in any currency, exactly: pain.001 adds amounts of different currencies. */

/** The number of digits after the point that a sum keeps. ISO 20022 allows 17 in a control sum. */
const FRACTION_DIGITS = 20;

/** A decimal of XML Schema with a bounded number of digits. "5." and ".5" are among them. */
const DECIMAL = /^\+?(?:([0-9]{1,30})(?:\.([0-9]{0,20}))?|\.([0-9]{1,20}))$/;

/** Reads a decimal as a multiple of 10^-20. @returns undefined for another text */
function scaled(text: string): bigint | undefined {
  const match = DECIMAL.exec(text);
  if (!match) return undefined;
  const [, whole = '0', fraction = '', onlyFraction = ''] = match;
  return BigInt(whole + (fraction || onlyFraction).padEnd(FRACTION_DIGITS, '0'));
}

/** Returns a decimal of XML Schema as a plain decimal: ".5" is "0.5". Another text is returned unchanged. */
export function plainDecimal(text: string): string {
  const match = DECIMAL.exec(text);
  if (!match) return text;
  const [, whole = '0', fraction = '', onlyFraction = ''] = match;
  const digits = fraction || onlyFraction;
  return digits === '' ? whole : `${whole}.${digits}`;
}

/** The number and the sum of amounts. */
export class ControlSum {
  count = 0;
  #sum = 0n;
  /** Tells whether each amount could be read. The sum means nothing otherwise. */
  #isComplete = true;

  add(amount: string): void {
    this.count += 1;
    const value = scaled(amount);
    if (value === undefined) this.#isComplete = false;
    else this.#sum += value;
  }

  /** Tells whether a text is another number than the sum. A sum of unreadable amounts is compared with nothing. */
  differsFrom(text: string): boolean {
    const expected = scaled(text);
    if (expected === undefined) return true;
    return this.#isComplete && expected !== this.#sum;
  }

  /** Returns the sum as a plain decimal without superfluous zeros. */
  toString(): string {
    const digits = this.#sum.toString().padStart(FRACTION_DIGITS + 1, '0');
    const fraction = digits.slice(-FRACTION_DIGITS).replace(/0+$/, '');
    const whole = digits.slice(0, -FRACTION_DIGITS);
    return fraction === '' ? whole : `${whole}.${fraction}`;
  }
}
