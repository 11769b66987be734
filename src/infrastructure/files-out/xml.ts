/** Writes XML by templates. Every value passes through `element` or `amountElement`, so none can become markup. */
import { formatAmount } from '../../domain/money.js';
import { toSepaText } from './sepa-text.js';

export const XML_DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n';

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/** Returns a text for the content of an element or an attribute, without characters that XML cannot carry. */
function escapeXml(text: string): string {
  return text
    .toWellFormed()
    .replace(/[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, '')
    .replace(/[&<>"]/g, (character) => ENTITIES[character] ?? '');
}

/** Returns an element with a text; nothing if the text is empty. */
export function element(name: string, text: string): string {
  return text === '' ? '' : `<${name}>${escapeXml(text)}</${name}>`;
}

/** Returns an element with a text in SEPA's character set; nothing if no character of the text is in the set. */
export function textElement(name: string, text: string | null, charactersMax: number): string {
  return element(name, toSepaText(text ?? '', charactersMax));
}

/** Returns an element with other elements; nothing if there are none. */
export function parent(name: string, ...children: readonly string[]): string {
  const content = children.join('');
  return content === '' ? '' : `<${name}>${content}</${name}>`;
}

/** Returns an element with an amount, which is never negative in ISO 20022. */
export function amountElement(name: string, minorUnits: bigint, currency: string): string {
  const amount = formatAmount(minorUnits < 0n ? -minorUnits : minorUnits, currency);
  return `<${name} Ccy="${escapeXml(currency)}">${amount}</${name}>`;
}

/** Returns the sign of an amount as ISO 20022 has it. Zero is a credit. */
export function creditDebit(minorUnits: bigint): string {
  return element('CdtDbtInd', minorUnits < 0n ? 'DBIT' : 'CRDT');
}
