import type { RequestSource } from '../domain/caller.js';
import { DEAD_LETTERS_AT_ONCE_MAX, isPayloadCut } from '../domain/dead-letter.js';
import { BadUserInputError } from '../domain/errors.js';
import { canonicalId } from '../domain/id.js';
import { NAME, textProblems } from '../domain/text.js';
import type { AuditLog } from './ports/audit-log.js';
import type { ConsumerQueues, DeadLetterStore } from './ports/dead-letters.js';

/** The changes that operators make to dead letters. Each call returns the number of dead letters that it sent or deleted. */
export interface ManageDeadLetters {
  /**
   * Sends dead letters to the queues of their consumers, and deletes them. An id that no longer exists is skipped. A
   * dead letter is sent at least once: after a crash between its sending and its deletion the next call sends it again.
   * Two calls at the same time may both send it.
   * @throws BadUserInputError for no ids, too many or malformed ones; also if a queue does not exist or a payload was
   *   cut: these dead letters stay, and all others are sent
   * @throws UnavailableError BROKER_AWAY; each dead letter that was not sent stays
   */
  replay(ids: readonly string[], source: RequestSource): Promise<number>;
  /**
   * Deletes dead letters. An id that no longer exists is skipped.
   * @throws BadUserInputError for no ids, too many or malformed ones, or a reason that is no text of 1 to 140 characters
   */
  discard(ids: readonly string[], reason: string, source: RequestSource): Promise<number>;
}

export interface DeadLetterPorts {
  readonly deadLetters: DeadLetterStore;
  readonly queues: ConsumerQueues;
  readonly audit: AuditLog;
}

export function makeManageDeadLetters(ports: DeadLetterPorts): ManageDeadLetters {
  return {
    replay: (sentIds, source) => replayAll(ports, requireIds(sentIds), source),
    discard: async (sentIds, reason, source) => {
      const ids = requireIds(sentIds);
      const [problem] = textProblems(reason, 'reason', NAME);
      if (problem) throw new BadUserInputError(`reason: ${problem.message}`);
      return ports.deadLetters.discard(ids, reason, source);
    },
  };
}

async function replayAll(
  { deadLetters, queues, audit }: DeadLetterPorts,
  ids: readonly string[],
  source: RequestSource,
): Promise<number> {
  const missingQueues = new Set<string>();
  const cutIds: string[] = [];
  let count = 0;
  // One payload is in memory at a time.
  for (const id of ids) {
    const letter = await deadLetters.byId(id);
    if (!letter) {
      const outcome = 'NOT_FOUND';
      await audit.note(source, { action: 'replayDeadLetters', outcome, subjectId: id });
      continue;
    }
    const { consumer, messageId, type, payload: content } = letter;
    if (isPayloadCut(letter)) cutIds.push(id);
    else if (!(await queues.send(consumer, { messageId, type, content })))
      missingQueues.add(consumer);
    else {
      await deadLetters.deleteSent(letter, source);
      count += 1;
    }
  }
  const [queue] = missingQueues;
  const [cutId] = cutIds;
  if (queue !== undefined) {
    throw new BadUserInputError(
      `The queue ${queue} does not exist, so its dead letters are kept. ${count} were sent.`,
    );
  }
  if (cutId !== undefined) {
    throw new BadUserInputError(
      `The payload of ${cutId} was cut, so it cannot be sent again. ${count} were sent.`,
    );
  }
  return count;
}

/** Returns the canonical form of each id once. @throws BadUserInputError */
function requireIds(sent: readonly string[]): readonly string[] {
  if (sent.length === 0 || sent.length > DEAD_LETTERS_AT_ONCE_MAX) {
    throw new BadUserInputError(
      `ids has ${sent.length} values; it must have 1 to ${DEAD_LETTERS_AT_ONCE_MAX}.`,
    );
  }
  const ids = sent.map((text) => {
    const id = canonicalId(text);
    if (id === undefined) throw new BadUserInputError(`ids has ${text}, which is no UUID.`);
    return id;
  });
  return [...new Set(ids)];
}
