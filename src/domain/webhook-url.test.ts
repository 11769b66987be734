import { describe, expect, test } from 'vitest';
import { WEBHOOK_URL_CHARACTERS_MAX, webhookUrlProblems } from './webhook-url.js';

const PRODUCTION = { allowsLoopback: false };
const DEVELOPMENT = { allowsLoopback: true };

const codesOf = (url: string, rules = PRODUCTION) =>
  webhookUrlProblems(url, rules).map(({ code }) => code);

describe('the URL of a webhook', () => {
  test.each([
    'https://hooks.acme.example/virement',
    'https://hooks.acme.example:8443/a/b?key=value&x=%20',
    'HTTPS://HOOKS.ACME.EXAMPLE',
    'https://192.0.2.1/',
    'https://[2001:db8::1]:8443/',
    'https://bücher.example/',
  ])('may be %s', (url) => {
    expect(webhookUrlProblems(url, PRODUCTION)).toEqual([]);
  });

  test.each([
    ['http://hooks.acme.example/', 'does not begin with https://'],
    ['ftp://hooks.acme.example/', 'does not begin with https://'],
    ['file:///etc/passwd', 'does not begin with https://'],
    ['javascript:alert(1)', 'does not begin with https://'],
    ['hooks.acme.example', 'is not a URL'],
    ['https://', 'is not a URL'],
    ['https://hooks.acme.example:65536/', 'is not a URL'],
    ['https://hooks.acme.example:0/', 'has the port 0'],
    [' https://hooks.acme.example/', 'is not a URL'],
    ['https:\n//hooks.acme.example/', 'is not a URL'],
    ['https://hooks.acme.example/\u202e', 'is not a URL'],
    ['https://hooks.acme.example/\ud800', 'is not a URL'],
    ['https://user@hooks.acme.example/', 'contains a user name'],
    ['https://:hunter2@hooks.acme.example/', 'contains a user name or a password'],
    ['https://hooks.acme.example/#', 'has a fragment'],
    ['https://hooks.acme.example/#part', 'has a fragment'],
    ['https://hooks.acme.example./', 'ends with a dot'],
    ['https://localhost/', 'is an address of this machine'],
    ['https://api.localhost/', 'is an address of this machine'],
    ['https://0x7f.1/', 'is an address of this machine'],
    ['https://[::1]/', 'is an address of this machine'],
    ['http://localhost/', 'does not begin with https://'],
  ])('may not be %j', (url, sentence) => {
    const problems = webhookUrlProblems(url, PRODUCTION);

    expect(problems).toEqual([
      { field: 'url', code: 'INVALID_URL', message: expect.stringContaining(sentence) },
    ]);
  });

  test.each([
    'http://localhost:3000/',
    'http://127.0.0.1/',
    'http://[::1]:8080/',
    'https://localhost/',
  ])('may be %s in development', (url) => {
    expect(codesOf(url, DEVELOPMENT)).toEqual([]);
  });

  test.each([
    'http://hooks.acme.example/',
    'http://10.0.0.1/',
    'http://localhost.acme.example/',
    'http://127.0.0.1.acme.example/',
    'http://[::2]/',
    'ws://localhost/',
    'http://user@localhost/',
  ])('may not be %s even in development', (url) => {
    expect(codesOf(url, DEVELOPMENT)).toEqual(['INVALID_URL']);
  });

  test('has at most 2,000 characters', () => {
    const base = 'https://hooks.acme.example/';
    const longest = base + 'a'.repeat(WEBHOOK_URL_CHARACTERS_MAX - base.length);

    expect(codesOf(longest)).toEqual([]);
    expect(codesOf(`${longest}a`)).toEqual(['TOO_LONG']);
  });

  test('is required', () => {
    expect(codesOf('')).toEqual(['REQUIRED']);
  });

  test.each([
    'https://user:hunter2@hooks.acme.example/',
    'https://user:hunter2@hooks.acme.example:65536/',
    'https://user:hunter2@hooks.acme.example /',
  ])('is not repeated in the answer if it contains a password: %s', (url) => {
    const problems = webhookUrlProblems(url, PRODUCTION);

    expect(problems).toHaveLength(1);
    expect(JSON.stringify(problems)).not.toContain('hunter2');
  });
});
