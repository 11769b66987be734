import type {
  AccountFeed,
  FollowedItems,
  FollowedListName,
  FollowedPage,
} from '../../application/ports/account-feeds.js';
import type { Account } from '../../entities/account.entity.js';
import type { FollowedAccount, Subscriber } from './followed-account.js';
import { LISTS } from './followed-lists.js';

/** The callbacks of a feed. */
export interface FeedCallbacks {
  readonly onClose: () => void;
  /** Is called whenever the account may have changed. */
  readonly onChange?: (() => void) | undefined;
}

/** One subscriber's view of a followed account. */
export class SubscriberFeed implements AccountFeed, Subscriber {
  isClosed = false;
  #waiting: (() => void) | undefined;

  /** @param sequence the sequence of the account when the feed was opened */
  constructor(
    private readonly followed: FollowedAccount,
    private readonly sequence: bigint,
    private readonly callbacks: FeedCallbacks,
  ) {}

  get version(): number {
    return this.followed.version;
  }

  endOf(list: FollowedListName): bigint {
    return LISTS[list].endAt(this.sequence);
  }

  readAfter<Name extends FollowedListName>(
    list: Name,
    place: bigint,
  ): Promise<FollowedPage<FollowedItems[Name]>> {
    return this.followed.readAfter(list, place);
  }

  account(): Promise<Account> {
    return this.followed.account();
  }

  async changedSince(version: number): Promise<void> {
    if (this.isClosed || this.version !== version) return;
    await new Promise<void>((resolve) => {
      this.#waiting = resolve;
    });
  }

  wake(): void {
    this.callbacks.onChange?.();
    this.#waiting?.();
    this.#waiting = undefined;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.callbacks.onClose();
    this.wake();
  }
}
