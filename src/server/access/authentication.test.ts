import { expect, test } from 'vitest';
import { claimOf, rolesOf } from './authentication.js';

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
])('the claim %s is found by its name, or by the path of its parts', (name, claim) => {
  expect(claimOf(CLAIMS, name)).toEqual(claim);
});

test.each([
  ['operator', ['operator']],
  ['OPERATOR', ['operator']],
  [
    ['Viewer', 'INITIATOR', 'initiator', 'admin'],
    ['viewer', 'initiator'],
  ],
  ['VIEWER monitor', ['viewer', 'monitor']],
  ['operators', []],
  [['viewer '], []],
  [undefined, []],
])('the claim %j gives the roles %j, in any case', (claim, roles) => {
  expect(rolesOf(claim)).toEqual(roles);
});
