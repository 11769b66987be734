/** Exported files as a client takes them, and the published schemas of their formats. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XmlDocument, XsdValidator } from 'libxml2-wasm';
import type { Client } from './client.js';

/**
 * The folder of the XML Schemas of ISO 20022, which are no part of the project: camt.053.001.08.xsd and
 * pain.002.001.10.xsd.
 */
const XSD_FOLDER =
  process.env.XSD_FOLDER ?? fileURLToPath(new URL('../../../shared/xsd', import.meta.url));

const ANSWER = `__typename
  ... on ExportReady { url expiresAt }
  ... on InvalidInput { problems { field code message } }
  ... on UserError { code }`;

/** Asks for a link, and returns the answer. */
export async function createExport(client: Client, input: object) {
  const { createExport: answer } = await client.data(
    `mutation ($input: CreateExportInput!) { createExport(input: $input) { ${ANSWER} } }`,
    { input },
  );
  return answer;
}

/** Takes a file by a link that the client asks for. */
export async function exportFile(client: Client, input: object): Promise<string> {
  const { url } = await createExport(client, input);
  const response = await fetch(`${client.url}${url}`);
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status}: ${text}`);
  return text;
}

/** Takes a file by a token. */
export function download(url: string, token?: string): Promise<Response> {
  return fetch(url, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } });
}

/** Parses a file, and validates it against the published schema, if that is on this machine. */
export function assertValidXml(text: string, schema: string): void {
  const document = XmlDocument.fromString(text);
  try {
    const path = join(XSD_FOLDER, `${schema}.xsd`);
    if (!existsSync(path)) {
      console.warn(`\n*** NOT VALIDATED: ${path} is missing. Set XSD_FOLDER. ***\n`);
      return;
    }
    const xsd = XmlDocument.fromString(readFileSync(path, 'utf8'));
    const validator = XsdValidator.fromDoc(xsd);
    validator.validate(document);
    validator.dispose();
    xsd.dispose();
  } finally {
    document.dispose();
  }
}

/** Returns the contents of all elements with a name, in their order. */
export function contentsOf(text: string, name: string): string[] {
  return [...text.matchAll(new RegExp(`<${name}(?: [^>]*)?>(.*?)</${name}>`, 'gs'))].map(
    ([, content = '']) => content,
  );
}

/** Returns the lines of a CSV file as cells. */
export function cellsOf(csv: string): string[][] {
  const lines: string[][] = [];
  let line: string[] = [];
  for (const [, quoted, plain = '', end] of csv
    .replace(/^\ufeff/, '')
    .matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)/g)) {
    line.push(quoted?.replaceAll('""', '"') ?? plain);
    if (end === ',') continue;
    lines.push(line);
    line = [];
  }
  return lines;
}
