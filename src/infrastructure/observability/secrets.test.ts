import { expect, test } from 'vitest';
import { reasonOf, withoutPasswords } from './secrets.js';

test.each([
  ['amqp://user:hunter2@host:5672/vhost', 'amqp://user:***@host:5672/vhost'],
  ['amqps://:hunter2@host', 'amqps://:***@host'],
  ['no mysql://root:a:b@c/d@host/db here', 'no mysql://root:***@host/db here'],
  ['{"url":"mariadb://root:hunter2@host/db"}', '{"url":"mariadb://root:***@host/db"}'],
  ['mysql://a:one@x/db\namqp://b:two@y', 'mysql://a:***@x/db\namqp://b:***@y'],
  ['http://localhost:4000/graphql', 'http://localhost:4000/graphql'],
  ['mysql://root@host/db', 'mysql://root@host/db'],
  ['http://user:hunter2@proxy:3128', 'http://user:***@proxy:3128'],
  [
    '/exports/orders/1.csv?expires=2&signature=hunter2',
    '/exports/orders/1.csv?expires=2&signature=***',
  ],
])('%s is shown as %s', (text, shown) => {
  expect(withoutPasswords(text)).toBe(shown);
});

test('the reason of an error does not contain a password', () => {
  expect(reasonOf(new Error('No answer from amqp://user:hunter2@host'))).toBe(
    'No answer from amqp://user:***@host',
  );
});
