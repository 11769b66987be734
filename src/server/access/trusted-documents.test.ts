import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { makeLogger } from '../../infrastructure/observability/logger.js';
import { loadTrustedDocuments, TrustedDocuments, type TrustMode } from './trusted-documents.js';

const TEXT = 'query A { accounts { nodes { id } } }';
const HASH = createHash('sha256').update(TEXT).digest('hex');
const UNKNOWN = '{ secret }';

function trusted(mode: TrustMode) {
  const log: string[] = [];
  const logger = makeLogger('info', { write: (line) => log.push(line) });
  return { log, documents: new TrustedDocuments(mode, { [`sha256:${HASH}`]: TEXT }, logger) };
}

describe.each(['log', 'only'] as const)('with the trust mode %s', (mode) => {
  test.each([
    [{ documentId: HASH }],
    [{ documentId: `sha256:${HASH}` }],
    [{ extensions: { persistedQuery: { version: 1, sha256Hash: HASH } } }],
    [{ query: '', extensions: { persistedQuery: HASH } }],
    [{ query: TEXT }],
    [{ query: TEXT, documentId: HASH }],
  ])('%o is the document', (request) => {
    expect(trusted(mode).documents.textOf(request)).toBe(TEXT);
  });

  test.each([
    ['PERSISTED_QUERY_NOT_FOUND', { documentId: 'constructor' }],
    ['PERSISTED_QUERY_NOT_FOUND', { extensions: { persistedQuery: { sha256Hash: '' } } }],
    ['DOCUMENT_CONFLICT', { query: UNKNOWN, documentId: HASH }],
  ])('the refusal is %s for %o', (code, request) => {
    expect(trusted(mode).documents.textOf(request)).toMatchObject({ code });
  });

  test.each([[{}], [{ query: 5 }], [{ documentId: 5, extensions: [] }]])(
    '%o requests no document',
    (request) => {
      expect(trusted(mode).documents.textOf(request)).toBeUndefined();
    },
  );
});

test('an unlisted document is run, and its hash is logged once, if the mode is log', () => {
  const { documents, log } = trusted('log');

  expect(documents.textOf({ query: UNKNOWN })).toBe(UNKNOWN);
  expect(documents.textOf({ query: UNKNOWN })).toBe(UNKNOWN);

  expect(log).toHaveLength(1);
  expect(log[0]).toContain(createHash('sha256').update(UNKNOWN).digest('hex'));
  expect(log[0]).not.toContain('secret');
});

test('an unlisted document is refused if the mode is only', () => {
  const { documents } = trusted('only');

  expect(documents.textOf({ query: UNKNOWN })).toMatchObject({ code: 'PERSISTED_QUERY_ONLY' });
  expect(documents.textOf({ query: UNKNOWN, documentId: 'x' })).toMatchObject({
    code: 'PERSISTED_QUERY_ONLY',
  });
});

test('document ids have no meaning if the mode is off', () => {
  const { documents } = trusted('off');

  expect(documents.textOf({ documentId: HASH })).toBeUndefined();
  expect(documents.textOf({ query: UNKNOWN })).toBe(UNKNOWN);
});

test.each(['/nowhere.json', 'package.json', 'README.md'])(
  'the manifest %s is refused at the start, by its name',
  async (file) => {
    const settings = { trustedDocuments: 'only', trustedDocumentsFile: file } as const;
    await expect(loadTrustedDocuments(settings, makeLogger('silent'))).rejects.toThrow(
      `TRUSTED_DOCUMENTS_FILE, ${file}`,
    );
  },
);
