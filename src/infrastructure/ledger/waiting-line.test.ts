import fc from 'fast-check';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { LockRequest } from '../../application/ports/unit-of-work.js';
import { AbandonedError, DomainError } from '../../domain/errors.js';
import { activeContext, startSpan } from '../observability/tracing.js';
import type { PendingMember } from './organization-queue.js';
import {
  GROUP_MEMBERS_MAX,
  WAITING_MEMBERS_MAX,
  WAITING_ROWS_MAX,
  WaitingLine,
} from './waiting-line.js';

/** A timeout that is longer than any test. */
const TIMEOUT_MS = 600_000;

/** A member that records how it was settled. */
interface Probe extends PendingMember {
  readonly name: string;
  readonly outcomes: string[];
}

function aMember(name: string, request: Partial<LockRequest> = {}): Probe {
  const outcomes: string[] = [];
  const organizationId = request.organizationId ?? name.charAt(0);
  return {
    name,
    request: { organizationId, accountIds: [`${organizationId} account`], rowCount: 1, ...request },
    work: () => undefined,
    traceparent: null,
    joinedAt: performance.now(),
    wait: startSpan('wait'),
    context: activeContext(),
    deadline: Date.now() + TIMEOUT_MS,
    outcomes,
    settle: ({ error }) => {
      outcomes.push(
        error instanceof DomainError
          ? error.rejection.code
          : error instanceof AbandonedError
            ? 'ABANDONED'
            : 'OTHER',
      );
    },
  };
}

const manyOf = (name: string, count: number, rowCount = 1) =>
  Array.from({ length: count }, (_, index) => aMember(`${name}${index}`, { rowCount }));

/** Returns a line without timers that would outlive the test. */
function aLine(...members: readonly PendingMember[]): WaitingLine {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  onTestFinished(() => {
    vi.useRealTimers();
  });
  const line = new WaitingLine();
  for (const member of members) line.add(member);
  return line;
}

const namesOf = (group: readonly PendingMember[]) => group.map((member) => (member as Probe).name);

/** Takes a group and releases it at once. */
function serve(line: WaitingLine): string[] {
  const group = line.take();
  line.letGo(group);
  return namesOf(group);
}

const countOf = (names: readonly string[], organization: string) =>
  names.filter((name) => name.startsWith(organization)).length;

describe('an organization that waits alone', () => {
  test('fills the group in order of arrival', () => {
    const line = aLine(...manyOf('a', 300));

    expect(serve(line)).toEqual(Array.from({ length: 256 }, (_, index) => `a${index}`));
    expect(serve(line)).toHaveLength(44);
    expect(serve(line)).toEqual([]);
  });

  test('has 10,000 rows in a group, or one member that is larger', () => {
    const line = aLine(
      ...[4_000, 6_000, 1, 90_000, 1].map((rowCount, index) => aMember(`a${index}`, { rowCount })),
    );

    expect(serve(line)).toEqual(['a0', 'a1']);
    expect(serve(line)).toEqual(['a2']);
    expect(serve(line)).toEqual(['a3']);
    expect(serve(line)).toEqual(['a4']);
  });
});

describe('organizations that wait together', () => {
  test('share the group, and fill what the others leave free', () => {
    const line = aLine(...manyOf('a', 300), ...manyOf('b', 300), ...manyOf('c', 10));

    const group = serve(line);

    expect(group).toHaveLength(GROUP_MEMBERS_MAX);
    expect(countOf(group, 'b')).toBe(85);
    expect(countOf(group, 'c')).toBe(10);
  });

  test('share its rows, too', () => {
    const line = aLine(...manyOf('a', 20, 100), ...manyOf('b', 20, 100));

    const group = serve(line);

    expect([countOf(group, 'a'), countOf(group, 'b')]).toEqual([5, 5]);
  });

  test('a small member waits for at most one large group of another organization and is not written with it', () => {
    const line = aLine(...manyOf('a', 10, 9_500));
    expect(serve(line)).toEqual(['a0']);

    line.add(aMember('b0'));
    expect(serve(line)).toEqual(['b0']);
    line.add(aMember('b1'));
    expect(serve(line)).toEqual(['a1']);
    expect(serve(line)).toEqual(['b1']);
    expect(serve(line)).toEqual(['a2']);
  });

  test('a large member is not starved by small members of other organizations', () => {
    const line = aLine(aMember('b0'), aMember('a0'), aMember('a1', { rowCount: 9_500 }));
    expect(serve(line)).toEqual(['b0', 'a0']);

    line.add(aMember('b1'));

    expect(serve(line)).toEqual(['a1']);
    expect(serve(line)).toEqual(['b1']);
  });

  test('an organization that a full group left out leads the next group', () => {
    const line = aLine(...manyOf('a', 3, 1_000), aMember('b0'), aMember('c0'));

    expect(serve(line)).toEqual(['a0']);
    expect(serve(line)).toEqual(['b0', 'c0']);
    expect(serve(line)).toEqual(['a1', 'a2']);
  });

  test('an organization that was served before others came back is served after them', () => {
    const line = aLine(
      ...manyOf('a', 2, 6_000),
      ...manyOf('b', 2, 6_000),
      ...manyOf('c', 2, 6_000),
    );

    const order = Array.from({ length: 6 }, () => serve(line).join());

    expect(order).toEqual(['a0', 'b0', 'c0', 'a1', 'b1', 'c1']);
  });

  test('an organization whose members are all blocked takes no place in the group of another', () => {
    const line = aLine(aMember('b0'));
    line.take();
    for (const member of [aMember('b1'), ...manyOf('a', 2, 5_000)]) line.add(member);

    expect(serve(line)).toEqual(['a0', 'a1']);
  });
});

describe('accounts', () => {
  test('of a group in progress are taken by no other group until it releases them', () => {
    const line = aLine(aMember('a0'));
    const group = line.take();
    line.add(aMember('a1'));
    line.add(aMember('a2', { accountIds: ['another'] }));

    expect(serve(line)).toEqual(['a2']);
    line.letGo(group);
    expect(serve(line)).toEqual(['a1']);
  });

  test('that a blocked member waits for are not taken by members that are examined after it', () => {
    const line = aLine(aMember('b0'), aMember('a0', { accountIds: ['one'] }));
    const group = line.take();
    line.add(aMember('a1', { accountIds: ['one', 'two'] }));
    line.add(aMember('a2', { accountIds: ['two'] }));
    line.add(aMember('b1', { accountIds: ['two'] }));
    line.add(aMember('c0', { accountIds: ['three'] }));

    // B led the last group, so A's turn comes before B's.
    expect(serve(line)).toEqual(['c0']);
    line.letGo(group);
    expect(serve(line)).toEqual(['a1', 'a2', 'b1']);
  });

  test('that several groups hold are free when the last one releases them', () => {
    const line = aLine(aMember('a0'));
    const group = line.take();
    line.hold(group);
    line.add(aMember('a1'));

    line.letGo(group);
    expect(line.take()).toEqual([]);
    line.letGo(group);
    expect(serve(line)).toEqual(['a1']);
  });
});

describe('a full line', () => {
  test('refuses more members of the organization that fills it', () => {
    const members = manyOf('a', WAITING_MEMBERS_MAX + 1);
    aLine(...members);

    expect(members.flatMap(({ outcomes }) => outcomes)).toEqual(['ACCOUNT_BUSY']);
    expect(members.at(-1)?.outcomes).toEqual(['ACCOUNT_BUSY']);
  });

  test('gives another organization the place of the newest member of the largest organization', () => {
    const members = manyOf('a', WAITING_MEMBERS_MAX);
    const other = aMember('b0');
    const line = aLine(...members, other);

    expect(other.outcomes).toEqual([]);
    expect(members.at(-1)?.outcomes).toEqual(['ACCOUNT_BUSY']);
    expect(members.flatMap(({ outcomes }) => outcomes)).toHaveLength(1);
    expect(serve(line)).toContain('b0');
  });

  test('is shared equally between two organizations that want all of it', () => {
    const others = manyOf('b', WAITING_MEMBERS_MAX);
    const members = manyOf('a', WAITING_MEMBERS_MAX);
    aLine(...members, ...others);

    const waiting = (of: readonly Probe[]) => of.filter(({ outcomes }) => outcomes.length === 0);
    expect(waiting(members)).toHaveLength(WAITING_MEMBERS_MAX / 2);
    expect(waiting(others)).toEqual(others.slice(0, WAITING_MEMBERS_MAX / 2));
  });

  test('of rows evicts as many rows as a member of another organization needs', () => {
    const large = manyOf('a', WAITING_ROWS_MAX / 10_000, 10_000);
    const other = aMember('b0', { rowCount: 10_000 });
    aLine(...large, other);

    expect(other.outcomes).toEqual([]);
    expect(large.at(-1)?.outcomes).toEqual(['ACCOUNT_BUSY']);
    expect(large.at(-2)?.outcomes).toEqual([]);
  });
});

test('a member that waits beyond its deadline is settled as busy once and is not taken', () => {
  const late = { ...aMember('a0'), deadline: Date.now() + 50 };
  const line = aLine(late, aMember('a1'));

  vi.advanceTimersByTime(51);

  expect(late.outcomes).toEqual(['ACCOUNT_BUSY']);
  expect(serve(line)).toEqual(['a1']);
  vi.advanceTimersByTime(TIMEOUT_MS);
  expect(late.outcomes).toEqual(['ACCOUNT_BUSY']);
});

test('an abandoned member is settled when its turn comes and delays nobody', () => {
  const abandoned = manyOf('a', 3).map(({ request, ...member }) => ({
    ...member,
    request: { ...request, rowCount: 5_000, isAbandoned: () => true },
  }));
  const line = aLine(...abandoned, aMember('a3'), aMember('b0'));

  expect(serve(line)).toEqual(['a3', 'b0']);
  expect(abandoned.map(({ outcomes }) => outcomes)).toEqual(Array(3).fill(['ABANDONED']));
});

type Step =
  | { readonly add: string; readonly account: number; readonly rowCount: number }
  | { readonly take: true }
  | { readonly letGo: number };

const ORGANIZATIONS = ['a', 'b', 'c'];

/** Steps in which B sends small members, and the others send members of any size. */
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc
        .record({
          add: fc.constantFrom(...ORGANIZATIONS),
          account: fc.nat(2),
          rowCount: fc.constantFrom(1, 1, 300, 1_000, 1_001, 9_500, 20_000),
        })
        .map((step) => (step.add === 'b' ? { ...step, rowCount: 1 } : step)),
    },
    { weight: 3, arbitrary: fc.constant({ take: true } as const) },
    { weight: 3, arbitrary: fc.nat(5).map((letGo) => ({ letGo })) },
  ),
  { minLength: 1, maxLength: 120 },
);

/** Runs steps, then takes groups until the line is empty. @returns the members by arrival, and the groups in order */
function run(line: WaitingLine, all: readonly Step[]) {
  const members: Probe[] = [];
  const groups: { readonly names: readonly string[]; readonly arrivals: number }[] = [];
  const underWay: PendingMember[][] = [];
  const take = () => {
    const group = line.take();
    if (group.length === 0) return false;
    groups.push({ names: namesOf(group), arrivals: members.length });
    underWay.push(group);
    return true;
  };
  const letGo = (at: number) => {
    const [group] = underWay.splice(at % Math.max(underWay.length, 1), 1);
    if (group) line.letGo(group);
    return group !== undefined;
  };
  for (const step of all) {
    if ('add' in step) {
      const { add, account, rowCount } = step;
      const accountIds = [`${add}${account}`];
      members.push(aMember(`${add}${members.length}`, { accountIds, rowCount }));
      line.add(members.at(-1) as Probe);
    } else if ('take' in step) take();
    else letGo(step.letGo);
  }
  while (letGo(0) || take());
  return { members, groups };
}

test('each member is taken once, in the order of its account, and never long after its turn', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const { members, groups } = run(aLine(), all);
      const taken = groups.flatMap(({ names }) => names);

      expect(taken.toSorted()).toEqual(members.map(({ name }) => name).toSorted());
      expect(members.flatMap(({ outcomes }) => outcomes)).toEqual([]);
      const byAccount = Map.groupBy(members, ({ request }) => request.accountIds[0]);
      for (const ofAccount of byAccount.values()) {
        const names = ofAccount.map(({ name }) => name);
        expect(taken.filter((name) => names.includes(name))).toEqual(names);
      }
      for (const { names } of groups) {
        const rows = names.map((name) => members.find((each) => each.name === name)?.request);
        const isMixed = new Set(rows.map((request) => request?.organizationId)).size > 1;
        const isLarge = rows.some((request) => (request?.rowCount ?? 0) > 1_000);
        expect(isMixed && isLarge).toBe(false);
      }
    }),
    { numRuns: 500 },
  );
});

test('a small member whose account is free leads or joins one of the next groups, one for each other organization', () => {
  fc.assert(
    fc.property(steps, (all) => {
      const line = aLine();
      run(line, []);
      const rivals: readonly Step[] = all.map((step) =>
        'add' in step && step.add === 'b' ? { ...step, add: 'a' } : step,
      );
      const underWay = new Set<PendingMember[]>();
      let small: Probe | undefined;
      let groupsSince = 0;
      rivals.forEach((step, index) => {
        if ('add' in step) {
          const { add, account, rowCount } = step;
          line.add(aMember(`${add}${index}`, { accountIds: [`${add}${account}`], rowCount }));
        } else if ('take' in step) {
          const group = line.take();
          if (group.length === 0) return;
          groupsSince += 1;
          if (small && group.includes(small)) {
            line.letGo(group);
            small = undefined;
          } else underWay.add(group);
          if (small) expect(groupsSince).toBeLessThan(ORGANIZATIONS.length);
        } else {
          for (const group of underWay) line.letGo(group);
          underWay.clear();
        }
        if (!small && index % 3 === 0) {
          small = aMember(`b${index}`);
          groupsSince = 0;
          line.add(small);
        }
      });
    }),
    { numRuns: 1_000 },
  );
});
