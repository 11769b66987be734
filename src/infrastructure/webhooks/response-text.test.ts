import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RESPONSE_BYTES_READ_MAX, RESPONSE_TEXT_BYTES_MAX, ResponseText } from './response-text.js';

function textOf(...chunks: readonly (string | Uint8Array)[]): string {
  const text = new ResponseText();
  for (const chunk of chunks) text.add(Buffer.from(chunk));
  return text.toString();
}

describe('the text of a response', () => {
  test('is its body', () => {
    expect(textOf('{"a":', '"ü"}\n\t')).toBe('{"a":"ü"}\n\t');
    expect(textOf()).toBe('');
  });

  test('has a character whose bytes are in two parts', () => {
    const [first, second] = [Buffer.from('€').subarray(0, 1), Buffer.from('€').subarray(1)];

    expect(textOf(first, second)).toBe('€');
  });

  test('ends before a character that does not fit', () => {
    const ascii = 'a'.repeat(RESPONSE_TEXT_BYTES_MAX - 2);

    expect(textOf(`${ascii}€`)).toBe(ascii);
    expect(textOf(`${ascii}ü`)).toBe(`${ascii}ü`);
    expect(textOf(`${ascii}üa`)).toBe(`${ascii}ü`);
  });

  test('has a replacement for every character that cannot be shown', () => {
    expect(textOf('a\0b\u001b[31mc\u0085d\u202ee\rf\r\ng')).toBe(
      'a\ufffdb\ufffd[31mc\ufffdd\ufffde\ufffdf\ng',
    );
    expect(textOf(Buffer.from([0x61, 0xff, 0xc3]))).toBe('a\ufffd\ufffd');
  });

  test('is well-formed for all bytes', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 2_000 }), { maxLength: 4 }), (chunks) => {
        const text = textOf(...chunks);
        expect(text.isWellFormed()).toBe(true);
        expect(text.length).toBeLessThanOrEqual(RESPONSE_TEXT_BYTES_MAX);
      }),
    );
  });

  test('goes on up to 64 KiB', () => {
    const text = new ResponseText();

    expect(text.add(Buffer.alloc(RESPONSE_BYTES_READ_MAX))).toBe(true);
    expect(text.add(Buffer.alloc(1))).toBe(false);
  });
});
