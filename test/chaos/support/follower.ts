import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import type { Random } from '../../support/seeded-random.js';
import { subscribe } from '../../support/subscriber.js';

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
const POLL_MS = 20;

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
