/** Maps the functions of a CPU profile from the bundles in dist to their sources, by the source maps beside the bundles. */
import { readFile } from 'node:fs/promises';
import { SourceMap } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { CallFrame, CpuProfile } from './cpu-profile.ts';

/** Returns the profile with the file and the line of each function in its source. */
export async function mapToSources(profile: CpuProfile): Promise<CpuProfile> {
  const urls = new Set(profile.nodes.map(({ callFrame }) => callFrame.url));
  const maps = new Map<string, SourceMap>();
  for (const url of urls) {
    const map = await readSourceMap(url);
    if (map) maps.set(url, map);
  }
  const nodes = profile.nodes.map((node) => {
    const map = maps.get(node.callFrame.url);
    return map ? { ...node, callFrame: mapCallFrame(node.callFrame, map) } : node;
  });
  return { ...profile, nodes };
}

/** @returns undefined for a file without a source map */
async function readSourceMap(url: string): Promise<SourceMap | undefined> {
  if (!url.startsWith('file:')) return undefined;
  const text = await readFile(`${fileURLToPath(url)}.map`, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : new SourceMap(JSON.parse(text));
}

function mapCallFrame(frame: CallFrame, map: SourceMap): CallFrame {
  const entry = map.findEntry(frame.lineNumber, frame.columnNumber);
  if (!('originalSource' in entry)) return frame;
  return {
    ...frame,
    url: new URL(entry.originalSource, frame.url).href,
    lineNumber: entry.originalLine,
    columnNumber: entry.originalColumn,
  };
}
