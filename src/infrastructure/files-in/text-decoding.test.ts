import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { fileOf } from '../../../test/support/file-bytes.js';
import { csvEncoding, decodedText, xmlEncoding } from './text-decoding.js';

const TEXT = 'Zoë, Łukasz 🦊\r\n';

const utf16 = (text: string, isLittleEndian: boolean) => {
  const bytes = Buffer.from(`\ufeff${text}`, 'utf16le');
  return isLittleEndian ? bytes : bytes.swap16();
};

async function decoded(content: Uint8Array, partBytes?: number): Promise<string> {
  const file = fileOf(content, partBytes);
  let text = '';
  for await (const piece of decodedText(file, await csvEncoding(file))) text += piece;
  return text;
}

const declaring = (encoding: string) =>
  Buffer.from(`<?xml version="1.0" encoding="${encoding}"?><a/>`);

describe('a CSV file', () => {
  test.each([
    ['UTF-8', Buffer.from(TEXT)],
    ['UTF-8 with a mark', Buffer.from(`\ufeff${TEXT}`)],
    ['UTF-16 little-endian', utf16(TEXT, true)],
    ['UTF-16 big-endian', utf16(TEXT, false)],
  ])('is decoded as %s, in parts of any size', async (_, bytes) => {
    for (const partBytes of [1, 2, 3, 5, 100]) expect(await decoded(bytes, partBytes)).toBe(TEXT);
  });

  test('that is not UTF-8 in its last byte alone is Windows-1252', async () => {
    const bytes = Buffer.concat([Buffer.alloc(100_000, 'a'), Buffer.from([0x80])]);

    expect(await csvEncoding(fileOf(bytes))).toBe('windows-1252');
    expect((await decoded(bytes)).endsWith('a€')).toBe(true);
  });

  test('that ends inside a character of UTF-8 is Windows-1252', async () => {
    expect(await decoded(Buffer.from([0x61, 0xc3]))).toBe('aÃ');
  });

  test('of any text is decoded as that text, without a mark', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', minLength: 1 }),
        fc.integer({ min: 1, max: 9 }),
        async (text, partBytes) => {
          fc.pre(!text.includes('\0') && !text.startsWith('\ufeff') && text.isWellFormed());
          fc.pre(!text.startsWith('PK\u0003\u0004'));
          expect(await decoded(Buffer.from(text), partBytes)).toBe(text);
        },
      ),
    );
  });
});

describe('an XML file', () => {
  test.each([
    ['utf-8', declaring('UTF-8')],
    ['utf-8', Buffer.from('<a/>')],
    ['utf-8', declaring('US-ASCII')],
    ['windows-1252', declaring('iso-8859-1')],
    ['windows-1252', declaring('Windows-1252')],
    ['utf-16le', utf16('<a/>', true)],
    ['utf-16be', utf16('<a/>', false)],
    ['utf-16le', utf16('<a/>', true).subarray(2)],
    ['utf-16be', utf16('<a/>', false).subarray(2)],
    ['utf-8', Buffer.concat([Buffer.from('\ufeff'), declaring('ISO-8859-1')])],
  ])('is %s by its mark or declaration', async (encoding, bytes) => {
    expect(await xmlEncoding(fileOf(bytes, 3))).toBe(encoding);
  });

  test.each(['Shift_JIS', 'UTF-16', 'UTF-7', ''])(
    'without a mark that declares %j is refused',
    async (encoding) => {
      await expect(xmlEncoding(fileOf(declaring(encoding)))).rejects.toMatchObject({
        rejection: { problems: [{ code: 'UNREADABLE_FILE', field: 'content' }] },
      });
    },
  );
});
