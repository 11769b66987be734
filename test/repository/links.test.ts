/** Checks that every relative link and image of a document leads to a file, and every anchor to one of its headings. */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import GithubSlugger from 'github-slugger';
import MarkdownIt from 'markdown-it';
import { describe, expect, test } from 'vitest';

/** Text of each document by its path from the root of the repository. */
type Documents = Readonly<Record<string, string>>;

const NOT_OURS = new Set(['.git', '.servers', 'data', 'dist', 'generated', 'node_modules']);

const markdown = new MarkdownIt({ html: true });

const ELSEWHERE = /^(?:[a-z][a-z0-9+.-]*:|\/\/)/i;

/** Returns the anchors that GitHub makes of a document's headings. */
function anchorsOf(text: string): ReadonlySet<string> {
  const slugger = new GithubSlugger();
  const tokens = markdown.parse(text, {});
  const headings = tokens.filter((_, index) => tokens[index - 1]?.type === 'heading_open');
  return new Set(
    headings.map(({ children }) =>
      slugger.slug((children ?? []).map(({ content }) => content).join('')),
    ),
  );
}

/** Returns the targets of links and images, including those in HTML. */
function targetsOf(text: string): string[] {
  const tokens = markdown.parse(text, {}).flatMap((token) => [token, ...(token.children ?? [])]);
  return tokens.flatMap((token) => {
    if (token.type.startsWith('html_')) {
      return [...token.content.matchAll(/\b(?:href|src)="([^"]*)"/g)].map(([, url = '']) => url);
    }
    const target = token.attrGet('href') ?? token.attrGet('src');
    return target === null ? [] : [String(target)];
  });
}

function brokenLinks(documents: Documents): string[] {
  return Object.entries(documents).flatMap(([path, text]) =>
    targetsOf(text)
      .filter((target) => !ELSEWHERE.test(target) && !leadsSomewhere(target, path, documents))
      .map((target) => `${path}: ${target}`),
  );
}

function leadsSomewhere(target: string, from: string, documents: Documents): boolean {
  const [file = '', anchor] = target.split('#').map(decodeURIComponent);
  const path = file === '' ? from : posix.join(posix.dirname(from), file);
  const text = documents[path];
  if (text === undefined) return existsSync(path);
  return anchor === undefined || anchorsOf(text).has(anchor);
}

describe('the check of links', () => {
  test.each([
    ['a file', '[a](docs/nowhere.md)', 'docs/nowhere.md'],
    ['an image', '![a](docs/nowhere.svg)', 'docs/nowhere.svg'],
    ['an image in HTML', '<img src="docs/nowhere.svg">', 'docs/nowhere.svg'],
    ['a reference', '[a][b]\n\n[b]: docs/nowhere.md', 'docs/nowhere.md'],
    ['a heading here', '[a](#nowhere)', '#nowhere'],
    ['a heading elsewhere', '[a](docs/guide.md#nowhere)', 'docs/guide.md#nowhere'],
  ])('finds a link to %s that does not exist', (_, text, target) => {
    expect(brokenLinks({ 'README.md': text, 'docs/guide.md': '# Guide' })).toEqual([
      `README.md: ${target}`,
    ]);
  });

  test('follows links as GitHub does, except those in code or to other sites', () => {
    const guide = '# Use of `npm`, again\n\n# Again\n\n# Again\n\n[up](../README.md#café)';
    const readme = `
# Café

[a](docs/guide.md#use-of-npm-again) [b](docs/guide.md#again-1) [c](package.json) [d](docs/)
[e](https://example.com/nowhere) \`[f](nowhere.md)\`
`;

    expect(brokenLinks({ 'README.md': readme, 'docs/guide.md': guide })).toEqual([]);
  });
});

test('no document has a broken link', () => {
  const paths = globSync('**/*.md', { exclude: (name) => NOT_OURS.has(posix.basename(name)) });

  expect(paths).toEqual(expect.arrayContaining(['README.md', 'docs/api.md']));
  const texts = paths.map((path) => [path, readFileSync(path, 'utf8')] as const);
  expect(brokenLinks(Object.fromEntries(texts))).toEqual([]);
});
