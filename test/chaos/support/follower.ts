import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { subscribe } from '../../support/subscriber.js';
import type { Random } from './seeded-random.js';

/** A front end that follows an account's transfers, and resumes elsewhere whenever it is cut off. */
export interface Follower {
  /** Ids of the transfers that came, in the order in which they came. */
  readonly seen: string[];
  /** How often it resumed. */
  readonly resumptions: number;
}

const FOLLOW = `subscription ($iban: String!, $after: Cursor) {
  transferPerformed(accountIban: $iban, after: $after) { cursor transfer { id } }
}`;

/** Between looks at its connection. */
const LOOK_MS = 20;

/** @param after the cursor of the last transfer that is not to come */
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
      await sleep(LOOK_MS);
      if (urls().length === 0) continue;
      resumptions += 1;
      const subscriber = subscribe(random.pick(urls()), FOLLOW, { iban, after: cursor });
      let taken = 0;
      const take = () => {
        for (; taken < subscriber.events.length; taken += 1) {
          seen.push(subscriber.events[taken].transfer.id);
          cursor = subscriber.events[taken].cursor;
        }
      };
      while (!isFinished && subscriber.closeCodes.length === 0 && subscriber.errors.length === 0) {
        await sleep(LOOK_MS);
        take();
      }
      take();
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
