import { expect, test } from 'vitest';
import { claimOf } from './authentication.js';

const CLAIMS = {
  roles: ['viewer'],
  realm_access: { roles: ['initiator'] },
  'realm_access.groups': 'exact',
  resource_access: { 'bank.example': { roles: ['operator'] } },
  'https://bank.example/org': 'acme',
  'https://bank.example/claims': { org: 'globex' },
  a: 'text',
  'a.b': { c: 1 },
};

test.each([
  ['roles', ['viewer']],
  ['realm_access.roles', ['initiator']],
  ['realm_access.groups', 'exact'],
  ['resource_access.bank.example.roles', ['operator']],
  ['https://bank.example/org', 'acme'],
  ['https://bank.example/claims.org', 'globex'],
  ['a.b.c', 1],
  ['missing', undefined],
  ['realm_access.missing', undefined],
  ['roles.0', undefined],
  ['constructor.name', undefined],
  ['__proto__', undefined],
  ['.', undefined],
  ['', undefined],
])('the claim %s is found by its name, or by the parts of it', (name, claim) => {
  expect(claimOf(CLAIMS, name)).toEqual(claim);
});
