/**
 * A file in one of the forms that a platform gives, as bodies of requests.
 *
 * Only outside browsers does the body become a stream, which counts the bytes that the connection takes. The fetch of
 * a browser sends a stream over HTTP/2 alone, and some browsers send none, so a browser gets the file as it is.
 */

/** A file to import: a file of a form, its bytes, its text, or a stream of its bytes. */
export type ImportableFile = Blob | Uint8Array | string | ReadableStream<Uint8Array>;

/** A file that can be sent. */
export interface Upload {
  /** Whether the file can be sent again. A stream can be read once. */
  readonly isRepeatable: boolean;
  /** The length of the file; undefined for a stream. */
  readonly bytesTotal: number | undefined;
  /**
   * Returns the part of fetch's options that sends the file.
   * @param onBytes receives the number of bytes that were handed to the connection; never called in browsers
   */
  readonly bodyOf: (onBytes?: (bytesSent: number) => void) => UploadBody;
}

interface UploadBody {
  readonly body: Blob | ReadableStream<Uint8Array>;
  readonly duplex?: 'half';
}

/** The number of bytes that are counted at once. */
const CHUNK_BYTES = 64 * 1_024;

/** Tells whether this platform is a browser: a window or a worker of one. */
function isBrowser(): boolean {
  return 'document' in globalThis || 'WorkerGlobalScope' in globalThis;
}

/** Prepares a file. In a browser, a stream is read to its end first. */
export async function uploadOf(file: ImportableFile): Promise<Upload> {
  if (file instanceof ReadableStream) {
    if (isBrowser()) return uploadOf(await new Response(file).blob());
    const bodyOf: Upload['bodyOf'] = (onBytes) => streamed(onBytes ? counted(file, onBytes) : file);
    return { isRepeatable: false, bytesTotal: undefined, bodyOf };
  }
  const blob = file instanceof Blob ? file : new Blob([file as string | Uint8Array<ArrayBuffer>]);
  return {
    isRepeatable: true,
    bytesTotal: blob.size,
    bodyOf: (onBytes) =>
      onBytes && !isBrowser() ? streamed(counted(blob.stream(), onBytes)) : { body: blob },
  };
}

function streamed(body: ReadableStream<Uint8Array>): UploadBody {
  return { body, duplex: 'half' };
}

/** Returns a stream that reports its bytes as they are taken. It reads no chunk before the previous one is taken. */
function counted(
  source: ReadableStream<Uint8Array>,
  onBytes: (bytesSent: number) => void,
): ReadableStream<Uint8Array> {
  let bytesSent = 0;
  const slicer = new TransformStream<Uint8Array, Uint8Array>({
    transform(bytes, controller) {
      for (let at = 0; at < bytes.length; at += CHUNK_BYTES) {
        controller.enqueue(bytes.subarray(at, at + CHUNK_BYTES));
      }
    },
  });
  const counter = new TransformStream<Uint8Array, Uint8Array>({
    transform(bytes, controller) {
      controller.enqueue(bytes);
      bytesSent += bytes.length;
      onBytes(bytesSent);
    },
  });
  return source.pipeThrough(slicer).pipeThrough(counter);
}
