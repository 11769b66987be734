import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { Random } from '../../support/seeded-random.js';
import { subscribe } from '../../support/subscriber.js';

/** A front end that follows an account's transfers and resumes, on any server, after each disconnection. */
export interface Follower {
  /** Ids of the received transfers, in order of arrival. */
  readonly seen: string[];
  /** Number of times that the follower has resumed. */
  readonly resumptions: number;
}

const FOLLOW = `subscription ($iban: String!, $after: Cursor) {
  transferPerformed(accountIban: $iban, after: $after) { cursor transfer { id } }
}`;

/** Interval between two checks of the connection. */
const POLL_MS = 20;

/** @param after the cursor of the last transfer before the ones to follow */
export function startFollower(
  urls: () => readonly string[],
  iban: string,
  after: string,
  random: Random,
): Follower {
  const seen: string[] = [];
  let resumptions = -1;
  let isFinished = false;
  onTestFinished(() => {
    isFinished = true;
  });
  const follow = async () => {
    let cursor = after;
    while (!isFinished) {
      await sleep(POLL_MS);
      if (urls().length === 0) continue;
      resumptions += 1;
      const subscriber = subscribe(random.pick(urls()), FOLLOW, { iban, after: cursor });
      let collected = 0;
      const collectEvents = () => {
        for (; collected < subscriber.events.length; collected += 1) {
          seen.push(subscriber.events[collected].transfer.id);
          cursor = subscriber.events[collected].cursor;
        }
      };
      while (!isFinished && subscriber.closeCodes.length === 0 && subscriber.errors.length === 0) {
        await sleep(POLL_MS);
        collectEvents();
      }
      collectEvents();
    }
  };
  void follow();
  return {
    seen,
    get resumptions() {
      return resumptions;
    },
  };
}
