/**
 * Reads XML in pieces, by saxes with limits of our own. saxes keeps text, comments, names and a DOCTYPE until they end,
 * so a file that never ends one of them would fill the memory.
 *
 * - A DOCTYPE is refused where it begins. There are no entities but the five of XML and character references.
 * - The depth, the attributes of an element and the length of each name, value and text are bounded.
 * - The characters between the ends of two tags are counted, whatever the parser takes them for: text, comments, names.
 */
import { SaxesParser } from 'saxes';
import type { DomainError } from '../../domain/errors.js';
import { quote } from '../../domain/problem.js';
import { unreadableFile } from './unreadable-file.js';

const XML_DEPTH_MAX = 20;
/** The largest length of the text of an element, and of a comment or another part of the document. */
const XML_TEXT_CHARACTERS_MAX = 10_000;
const XML_ATTRIBUTES_MAX = 20;
const XML_ATTRIBUTE_CHARACTERS_MAX = 1_000;
const XML_NAME_CHARACTERS_MAX = 100;

/** The number of characters that the parser gets at once. */
const PIECE_CHARACTERS = 2_048;

const DOCTYPE = '<!DOCTYPE';

export interface XmlHandler {
  /**
   * Receives the start of an element.
   * @param line the line on which its tag ends, from 1
   */
  open(name: string, attributes: Readonly<Record<string, string>>, line: number): void;
  /** Receives the end of an element, with the text after its last child. */
  close(text: string): void;
}

/** Reads one document. After an error, the reader is not used again. */
export class XmlReader {
  readonly #parser = new SaxesParser({
    xmlns: false,
    forceXMLVersion: true,
    defaultXMLVersion: '1.0',
  });
  #text = '';
  #depth = 0;
  #tagCount = 0;
  /** The characters since the last tag ended, up to one piece more or less. */
  #openCharacters = 0;
  /** Tells whether the document has a first character that is no white space. */
  #hasBegun = false;
  /** The last characters that were read, in which a DOCTYPE may begin. */
  #tail = '';

  constructor(private readonly handler: XmlHandler) {
    // With more than some six handlers, the parser is six times slower: V8 then keeps its properties in a dictionary.
    this.#parser.on('error', ({ message }) => {
      throw this.#malformed(message);
    });
    this.#parser.on('opentag', ({ name, attributes }) => this.#open(name, attributes));
    this.#parser.on('closetag', () => this.#close());
    this.#parser.on('text', (text) => this.#addText(text));
    this.#parser.on('cdata', (text) => this.#addText(text));
  }

  /** Reads the next characters. @throws DomainError for a document that is malformed or exceeds a limit */
  write(text: string): void {
    this.#refuseOtherText(text);
    this.#refuseDoctype(text);
    for (let start = 0; start < text.length; start += PIECE_CHARACTERS) {
      const piece = text.slice(start, start + PIECE_CHARACTERS);
      const tagCount = this.#tagCount;
      this.#parser.write(piece);
      this.#openCharacters = this.#tagCount === tagCount ? this.#openCharacters + piece.length : 0;
      if (this.#openCharacters > XML_TEXT_CHARACTERS_MAX) throw this.#textTooLong();
    }
  }

  /** Ends the document. @throws DomainError for a document that is not complete */
  end(): void {
    this.#parser.close();
  }

  #refuseDoctype(text: string): void {
    const joined = this.#tail + text;
    const place = joined.indexOf(DOCTYPE);
    if (place !== -1) {
      const before = text.slice(0, Math.max(0, place - this.#tail.length));
      const line = this.#parser.line + before.split('\n').length - 1;
      throw unreadableFile('The file has a DOCTYPE, which is refused. Remove it.', line);
    }
    this.#tail = joined.slice(1 - DOCTYPE.length);
  }

  #refuseOtherText(text: string): void {
    if (this.#hasBegun) return;
    const [first] = text.trimStart();
    if (first === undefined) return;
    if (first !== '<') throw this.#refusal('The file is not XML.');
    this.#hasBegun = true;
  }

  #open(name: string, attributes: Readonly<Record<string, string>>): void {
    this.#tagCount += 1;
    this.#text = '';
    this.#depth += 1;
    if (this.#depth > XML_DEPTH_MAX) {
      throw this.#refusal(`An element is in ${XML_DEPTH_MAX} others, which is too deep.`);
    }
    this.#refuseLongName(name);
    this.#refuseAttributes(attributes);
    this.handler.open(name, attributes, this.#parser.line);
  }

  #close(): void {
    this.#tagCount += 1;
    this.#depth -= 1;
    const text = this.#text;
    this.#text = '';
    this.handler.close(text);
  }

  #refuseAttributes(attributes: Readonly<Record<string, string>>): void {
    let count = 0;
    for (const name in attributes) {
      count += 1;
      this.#refuseLongName(name);
      if ((attributes[name] ?? '').length > XML_ATTRIBUTE_CHARACTERS_MAX) {
        const message = `An attribute has more than ${XML_ATTRIBUTE_CHARACTERS_MAX} characters.`;
        throw this.#refusal(message);
      }
    }
    if (count > XML_ATTRIBUTES_MAX) {
      throw this.#refusal(`An element has more than ${XML_ATTRIBUTES_MAX} attributes.`);
    }
  }

  #refuseLongName(name: string): void {
    if (name.length <= XML_NAME_CHARACTERS_MAX) return;
    throw this.#refusal(`A name has more than ${XML_NAME_CHARACTERS_MAX} characters.`);
  }

  #addText(text: string): void {
    this.#text += text;
    if (this.#text.length > XML_TEXT_CHARACTERS_MAX) throw this.#textTooLong();
  }

  #textTooLong(): DomainError {
    const max = XML_TEXT_CHARACTERS_MAX.toLocaleString('en');
    return this.#refusal(`A text, a comment or another part has more than ${max} characters.`);
  }

  /** Returns the error of a document that the parser refuses. Its message begins with the line and the column. */
  #malformed(message: string): DomainError {
    const reason = message.replace(/^\d+:\d+: /, '');
    return this.#refusal(`The file is not well-formed XML, or it is cut off: ${quote(reason)}.`);
  }

  #refusal(message: string): DomainError {
    return unreadableFile(message, this.#parser.line);
  }
}
