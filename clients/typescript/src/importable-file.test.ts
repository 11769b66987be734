import { expect, onTestFinished, test, vi } from 'vitest';
import { uploadOf } from './importable-file.js';

const streamOf = (...chunks: string[]) =>
  new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
      controller.close();
    },
  });

test.each(['text', 'bytes', 'blob'] as const)(
  '%s can be sent again, and is counted',
  async (form) => {
    const text = 'ä'.repeat(100_000);
    const files = { text, bytes: new TextEncoder().encode(text), blob: new Blob([text]) };
    const upload = await uploadOf(files[form]);

    expect(upload).toMatchObject({ isRepeatable: true, bytesTotal: 200_000 });
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const counts: number[] = [];
      const { body, duplex } = upload.bodyOf((bytesSent) => counts.push(bytesSent));
      expect(duplex).toBe('half');
      expect(await new Response(body).text()).toBe(text);
      expect(counts.length).toBeGreaterThan(2);
      expect(counts.toSorted((one, other) => one - other)).toEqual(counts);
      expect(counts.at(-1)).toBe(200_000);
    }
    expect(upload.bodyOf()).toEqual({ body: expect.any(Blob) });
  },
);

test('a stream is sent once, and only as far as it is taken', async () => {
  const upload = await uploadOf(streamOf('a'.repeat(300_000), 'b'));
  const counts: number[] = [];
  const { body } = upload.bodyOf((bytesSent) => counts.push(bytesSent));

  expect(upload).toMatchObject({ isRepeatable: false, bytesTotal: undefined });
  if (!(body instanceof ReadableStream)) throw new Error('The body is no stream');
  const reader = body.getReader();
  await reader.read();
  expect(counts.at(-1)).toBeLessThan(300_000);
  while (!(await reader.read()).done);
  expect(counts.at(-1)).toBe(300_001);
});

test('a browser sends no stream, and counts nothing', async () => {
  Object.assign(globalThis, { document: {} });
  onTestFinished(() => {
    Reflect.deleteProperty(globalThis, 'document');
  });
  const onBytes = vi.fn();

  for (const file of ['abc', streamOf('a', 'bc')]) {
    const upload = await uploadOf(file);
    const { body, duplex } = upload.bodyOf(onBytes);
    expect(upload).toMatchObject({ isRepeatable: true, bytesTotal: 3 });
    expect(body).toBeInstanceOf(Blob);
    expect(duplex).toBeUndefined();
    expect(await new Response(body).text()).toBe('abc');
  }
  expect(onBytes).not.toHaveBeenCalled();
});
