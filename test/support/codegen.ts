import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { executeCodegen } from '@graphql-codegen/cli';
import { onTestFinished } from 'vitest';
import { parse } from 'yaml';

/** The output of `npm run codegen` for a front end's documents. */
export interface GeneratedClient {
  /** The file of trusted documents, for TRUSTED_DOCUMENTS_FILE. */
  readonly manifestFile: string;
  /** The trusted documents by id. */
  readonly manifest: Readonly<Record<string, string>>;
  /** Operations with their types, by the name of their constant: `AccountsDocument`. */
  // biome-ignore lint/suspicious/noExplicitAny: which there are depends on the documents
  readonly operations: Readonly<Record<string, any>>;
  readonly possibleTypes: Readonly<Record<string, string[]>>;
  /** The module from which front ends import the possible types. */
  readonly possibleTypesFile: string;
}

/** Runs the codegen of codegen.yml on other documents, like a front end that has copied the file. */
export async function generateClient(documents: readonly string[]): Promise<GeneratedClient> {
  const folder = await mkdtemp(join(tmpdir(), 'virement-codegen-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const config = parse(await readFile('codegen.yml', 'utf8'));
  const { result, error } = await executeCodegen({ ...config, documents, silent: true });
  if (error) throw error;
  for (const { filename, content } of result) {
    await mkdir(dirname(join(folder, filename)), { recursive: true });
    await writeFile(join(folder, filename), content);
  }
  const manifestFile = join(folder, 'generated/persisted-documents.json');
  const possibleTypesFile = join(folder, 'generated/possible-types.ts');
  const { possibleTypes } = (await import(possibleTypesFile)).default;
  return {
    manifestFile,
    manifest: JSON.parse(await readFile(manifestFile, 'utf8')),
    operations: await import(join(folder, 'generated/graphql.ts')),
    possibleTypes,
    possibleTypesFile,
  };
}
