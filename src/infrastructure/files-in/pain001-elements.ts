/**
 * The elements of pain.001 that are read, and the reader that collects their texts. Elements may come in any order, and
 * unknown ones are skipped. An element that the format allows once must not be there twice, because nobody could tell
 * which of two accounts is meant.
 */
import { quote } from '../../domain/problem.js';
import { unreadableFile } from './unreadable-file.js';
import type { XmlHandler } from './xml-reader.js';

const NAMESPACE = 'urn:iso:std:iso:20022:tech:xsd:pain.001.001.';

/** The versions that are read. */
export const PAIN_VERSIONS = ['03', '09'] as const;

export type PainVersion = (typeof PAIN_VERSIONS)[number];

const MESSAGE = 'Document/CstmrCdtTrfInitn';
const GROUP = `${MESSAGE}/GrpHdr`;
const PAYMENT = `${MESSAGE}/PmtInf`;
const ROW = `${PAYMENT}/CdtTrfTxInf`;

/** The elements whose text is kept, below GROUP, PAYMENT and ROW. Those of a row begin with CdtTrfTxInf. */
const KEPT: readonly string[] = [
  `${GROUP}/NbOfTxs`,
  `${GROUP}/CtrlSum`,
  `${PAYMENT}/PmtInfId`,
  `${PAYMENT}/PmtMtd`,
  `${PAYMENT}/NbOfTxs`,
  `${PAYMENT}/CtrlSum`,
  `${PAYMENT}/ReqdExctnDt`,
  `${PAYMENT}/ReqdExctnDt/Dt`,
  `${PAYMENT}/ReqdExctnDt/DtTm`,
  `${PAYMENT}/DbtrAcct/Id/IBAN`,
  `${PAYMENT}/DbtrAcct/Id/Othr/Id`,
  `${ROW}/PmtId/EndToEndId`,
  `${ROW}/Amt/InstdAmt`,
  `${ROW}/Amt/EqvtAmt/Amt`,
  `${ROW}/CdtrAgt/FinInstnId/BICFI`,
  `${ROW}/CdtrAgt/FinInstnId/BIC`,
  `${ROW}/Cdtr/Nm`,
  `${ROW}/CdtrAcct/Id/IBAN`,
  `${ROW}/CdtrAcct/Id/Othr/Id`,
];

/** The elements that may occur several times. Their texts are joined by a space. */
const REPEATED: readonly string[] = [`${ROW}/RmtInf/Ustrd`, `${ROW}/RmtInf/Strd/CdtrRefInf/Ref`];

/** The postal addresses of the parties. */
const ADDRESSES: readonly string[] = [
  `${PAYMENT}/Dbtr/PstlAdr`,
  `${PAYMENT}/UltmtDbtr/PstlAdr`,
  `${ROW}/Cdtr/PstlAdr`,
  `${ROW}/UltmtCdtr/PstlAdr`,
  `${ROW}/UltmtDbtr/PstlAdr`,
];

const ADDRESS_PARTS = ['AdrLine', 'TwnNm', 'Ctry'] as const;

type Role = 'group' | 'payment' | 'row' | 'address' | 'address-part' | 'text' | 'repeated';

/** An element that is known. */
interface Known {
  readonly name: string;
  /** The path below PmtInf, or from GrpHdr. */
  readonly path: string;
  readonly children: Map<string, Known>;
  role?: Role;
}

function treeOf(): Known {
  const root: Known = { name: '', path: '', children: new Map() };
  const add = (path: string, role: Role) => {
    let node = root;
    const names = path.split('/');
    for (const [depth, name] of names.entries()) {
      const parts = names.slice(0, depth + 1).join('/');
      const shown = parts.startsWith(`${PAYMENT}/`)
        ? parts.slice(PAYMENT.length + 1)
        : parts.slice(MESSAGE.length + 1);
      const child = node.children.get(name) ?? { name, path: shown, children: new Map() };
      node.children.set(name, child);
      node = child;
    }
    node.role = role;
  };
  add(GROUP, 'group');
  add(PAYMENT, 'payment');
  add(ROW, 'row');
  for (const path of KEPT) add(path, 'text');
  for (const path of REPEATED) add(path, 'repeated');
  for (const path of ADDRESSES) {
    add(path, 'address');
    for (const part of ADDRESS_PARTS) add(`${path}/${part}`, 'address-part');
  }
  return root;
}

const TREE = treeOf();

export interface Kept {
  readonly text: string;
  readonly line: number;
  /** The attribute Ccy. */
  readonly currency: string | undefined;
}

/** The kept texts of a header, a payment or a row, by their paths. */
export interface Elements {
  /** The line on which the element begins. */
  readonly line: number;
  readonly texts: ReadonlyMap<string, Kept>;
}

/** Receives the parts of a document. */
export interface Pain001Sink {
  version(version: PainVersion): void;
  group(elements: Elements): void;
  /** Receives the start of a payment. Its rows and addresses follow, and its end. */
  startPayment(line: number): void;
  row(elements: Elements): void;
  /** Receives an address of lines without a town and a country. */
  unstructuredAddress(path: string, line: number): void;
  endPayment(elements: Elements): void;
}

/** The largest length of all texts of a row. */
const ROW_CHARACTERS_MAX = 65_536;

interface OpenElement {
  /** Undefined for an element that is not read. */
  readonly known: Known | undefined;
  readonly line: number;
  readonly currency: string | undefined;
}

interface Collected extends Elements {
  readonly texts: Map<string, Kept>;
  characters: number;
}

/** Collects the texts of the known elements, and tells a sink of each part that ends. */
export class Pain001Elements implements XmlHandler {
  readonly #open: OpenElement[] = [];
  /** The header, payment or row that is open: a row is in a payment. */
  readonly #collected: Collected[] = [];
  #address = new Set<string>();
  /** The prefix of the names, with its colon. */
  #prefix = '';
  #namespace = '';

  constructor(private readonly sink: Pain001Sink) {}

  open(name: string, attributes: Readonly<Record<string, string>>, line: number): void {
    const parent = this.#open.at(-1);
    if (parent === undefined) this.#readRoot(name, attributes);
    const siblings = parent === undefined ? TREE.children : parent.known?.children;
    const known = siblings?.get(this.#localName(name, attributes));
    this.#open.push({ known, line, currency: attributes.Ccy });
    switch (known?.role) {
      case 'payment':
        this.sink.startPayment(line);
        this.#collected.push({ line, texts: new Map(), characters: 0 });
        break;
      case 'group':
      case 'row':
        this.#collected.push({ line, texts: new Map(), characters: 0 });
        break;
      case 'address':
        this.#address = new Set();
        break;
    }
  }

  close(text: string): void {
    const element = this.#open.pop();
    if (element?.known?.role === undefined) return;
    const { known, line } = element;
    switch (known.role) {
      case 'text':
      case 'repeated':
        this.#keep(element, known, text.trim());
        break;
      case 'address-part':
        if (text.trim() !== '') this.#address.add(known.name);
        break;
      case 'address': {
        const isStructured = this.#address.has('TwnNm') && this.#address.has('Ctry');
        if (this.#address.has('AdrLine') && !isStructured) {
          this.sink.unstructuredAddress(known.path, line);
        }
        break;
      }
      case 'group':
      case 'payment':
      case 'row':
        this.#end(known);
        break;
    }
  }

  /** Reads the version of the format from the namespace of the root. */
  #readRoot(name: string, attributes: Readonly<Record<string, string>>): void {
    const colon = name.indexOf(':');
    this.#prefix = name.slice(0, colon + 1);
    this.#namespace = attributes[colon === -1 ? 'xmlns' : `xmlns:${name.slice(0, colon)}`] ?? '';
    const version = PAIN_VERSIONS.find((each) => this.#namespace === NAMESPACE + each);
    if (version === undefined || name.slice(colon + 1) !== 'Document') {
      const accepted = PAIN_VERSIONS.map((each) => NAMESPACE + each).join(' or ');
      const message = `The file is ${quote(name)} of the namespace ${quote(this.#namespace)}, but Document of ${accepted} is expected.`;
      throw unreadableFile(message, 1);
    }
    this.sink.version(version);
  }

  /** Returns the name of an element without the prefix. An element of another namespace keeps a name nobody knows. */
  #localName(name: string, attributes: Readonly<Record<string, string>>): string {
    const declared =
      attributes[this.#prefix === '' ? 'xmlns' : `xmlns:${this.#prefix.slice(0, -1)}`];
    const isOther = declared !== undefined && declared !== this.#namespace;
    if (isOther || !name.startsWith(this.#prefix)) return `:${name}`;
    return name.slice(this.#prefix.length);
  }

  #keep({ line, currency }: OpenElement, { path, role }: Known, text: string): void {
    const collected = this.#collected.at(-1);
    if (collected === undefined) return;
    const earlier = collected.texts.get(path);
    if (earlier !== undefined && role === 'text') {
      throw unreadableFile(`The element ${path} is here twice. Remove one of them.`, line);
    }
    collected.characters += text.length + 1;
    if (collected.characters > ROW_CHARACTERS_MAX) {
      throw unreadableFile(`The texts have more than ${ROW_CHARACTERS_MAX} characters.`, line);
    }
    const joined = earlier === undefined ? text : `${earlier.text} ${text}`;
    collected.texts.set(path, { text: joined, line: earlier?.line ?? line, currency });
  }

  #end({ role }: Known): void {
    const collected = this.#collected.pop();
    if (collected === undefined) return;
    if (role === 'group') this.sink.group(collected);
    else if (role === 'row') this.sink.row(collected);
    else this.sink.endPayment(collected);
  }
}
