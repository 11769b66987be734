import 'reflect-metadata';
import { expect, test } from 'vitest';
import type { ListPage } from '../application/ports/page.js';
import type { Account } from '../entities/account.entity.js';
import { ACCOUNTS } from './cursor-scopes.js';
import { presentAccount, presentPage } from './present.js';

test('a list is counted once, however many aliases of totalCount a document has', async () => {
  let counts = 0;
  const page: ListPage<Account> = {
    nodes: [],
    hasNextPage: false,
    hasPreviousPage: false,
    count: async () => {
      counts += 1;
      return 3;
    },
  };

  const { totalCount } = presentPage(page, ACCOUNTS, presentAccount);

  expect(counts).toBe(0);
  expect([await totalCount(), await totalCount()]).toEqual([3, 3]);
  expect(counts).toBe(1);
});
