import { CURRENCY_DEFAULT } from '../domain/bulk-transfer.js';
import type { RequestSource } from '../domain/caller.js';
import { type CreditContent, creditFingerprint } from '../domain/credit.js';
import { listedCurrency } from '../domain/currency.js';
import { normaliseIban } from '../domain/iban.js';
import type { NewId } from '../domain/id.js';
import {
  FINGERPRINT_VERSION,
  hasSameContent,
  idempotencyKeyProblems,
} from '../domain/idempotency.js';
import { amountProblem, parseAmountIn } from '../domain/money.js';
import { rejected } from '../domain/mutations.js';
import { type Problem, valueProblem } from '../domain/problem.js';
import { DESCRIPTION, textProblems } from '../domain/text.js';
import type { Account } from '../entities/account.entity.js';
import { AuditEntry } from '../entities/audit-entry.entity.js';
import { LedgerEntry } from '../entities/ledger-entry.entity.js';
import { OutboxMessage } from '../entities/outbox-message.entity.js';
import type { Clock } from './ports/clock.js';
import type { LedgerReader } from './ports/ledger-reader.js';
import type { LockedLedger, UnitOfWork } from './ports/unit-of-work.js';

export interface CreditAccountRequest extends CreditContent {
  readonly idempotencyKey?: string | undefined;
}

export interface CreditedAccount {
  readonly account: Account;
  readonly entry: LedgerEntry;
  /** Tells whether an earlier request with the same key made the credit. */
  readonly replayed: boolean;
}

/**
 * Credits an account with money from outside.
 * @throws DomainError with a code of MUTATIONS.creditAccount
 */
export type CreditAccount = (
  request: CreditAccountRequest,
  source: RequestSource,
) => Promise<CreditedAccount>;

export interface CreditAccountPorts {
  readonly reader: LedgerReader;
  readonly unitOfWork: UnitOfWork;
  readonly clock: Clock;
  readonly newId: NewId;
  /** Tells whether a credit without an idempotency key is refused. */
  readonly requiresIdempotencyKey?: boolean;
}

/** The amount of a request in minor units, or every problem of the request. */
type CreditReading =
  | { readonly amountMinor: bigint; readonly problems?: undefined }
  | { readonly amountMinor?: undefined; readonly problems: readonly Problem[] };

/** A credit to record, in minor units. */
interface Credit {
  readonly amountMinor: bigint;
  readonly description: string;
  readonly idempotencyKey?: string | undefined;
  readonly fingerprint?: string | undefined;
}

export function makeCreditAccount({
  reader,
  unitOfWork,
  clock,
  newId,
  requiresIdempotencyKey = false,
}: CreditAccountPorts): CreditAccount {
  return async (request, source) => {
    const iban = normaliseIban(request.iban);
    const known = await reader.accountByIban(iban);
    const { amountMinor, problems } = readCredit(request, known, requiresIdempotencyKey);
    if (problems) throw rejected('creditAccount', { code: 'INVALID_INPUT', problems });
    if (!known) throw rejected('creditAccount', { code: 'ACCOUNT_NOT_FOUND', iban });
    const { description, idempotencyKey } = request;
    const fingerprint =
      idempotencyKey === undefined ? undefined : creditFingerprint(request, FINGERPRINT_VERSION);
    const credit = { amountMinor, description, idempotencyKey, fingerprint };
    const locked = {
      organizationId: known.organizationId,
      accountIds: [known.id],
      creditKey: idempotencyKey,
      rowCount: 1,
      isAbandoned: source.isAbandoned,
    };
    return unitOfWork.run(locked, (ledger) => {
      const account = ledger.account(known.id);
      const earlier = findEarlier(ledger, account.id, request);
      if (earlier) return { account, entry: earlier, replayed: true };
      if (!account.canReceive(amountMinor)) {
        const message = 'The balance would exceed the largest possible balance.';
        const problem = { field: 'amount', code: 'AMOUNT_TOO_LARGE', message } as const;
        throw rejected('creditAccount', { code: 'INVALID_INPUT', problems: [problem] });
      }
      const entry = recordCredit({ ledger, newId, at: clock(), source }, account, credit);
      return { account, entry, replayed: false };
    });
  };
}

/** The unit of work in which a credit is recorded. */
export interface CreditScope {
  readonly ledger: LockedLedger;
  readonly newId: NewId;
  readonly at: Date;
  /** The request in the audit entry of the credit; absent if the credit is part of another change. */
  readonly source?: RequestSource;
}

/** Posts a credit to an account, and appends its ledger entry and its outbox message. */
export function recordCredit(
  { ledger, newId, at, source }: CreditScope,
  account: Account,
  credit: Credit,
): LedgerEntry {
  const { amountMinor, ...facts } = credit;
  const posting = account.post(amountMinor, at);
  const entry = LedgerEntry.of(account, posting, {
    id: newId(),
    kind: 'INCOMING_TRANSFER',
    ...facts,
  });
  const message = OutboxMessage.of({
    id: newId(),
    type: 'account.credited',
    subjectId: account.id,
    sequence: posting.sequence,
    createdAt: posting.at,
  });
  const done = { action: 'creditAccount', outcome: 'DONE' } as const;
  const subject = { accountId: account.id, subjectId: entry.id };
  ledger.record({
    entries: [entry],
    message,
    ...(source && { audit: AuditEntry.of({ id: newId(), at, source, ...done, ...subject }) }),
  });
  return entry;
}

function findEarlier(
  ledger: LockedLedger,
  accountId: string,
  request: CreditAccountRequest,
): LedgerEntry | null {
  const { idempotencyKey } = request;
  if (idempotencyKey === undefined) return null;
  const earlier = ledger.creditByKey(accountId, idempotencyKey);
  if (!earlier) return null;
  const isSame =
    earlier.fingerprint !== null &&
    hasSameContent(earlier.fingerprint, (version) => creditFingerprint(request, version));
  if (!isSame) throw rejected('creditAccount', { code: 'IDEMPOTENCY_KEY_REUSED', idempotencyKey });
  return earlier;
}

function readCredit(
  request: CreditAccountRequest,
  account: Account | null,
  requiresIdempotencyKey: boolean,
): CreditReading {
  const problems = idempotencyKeyProblems(request.idempotencyKey, requiresIdempotencyKey);
  const currency = request.currency ?? CURRENCY_DEFAULT;
  const amountCurrency = account?.currency ?? listedCurrency(currency, CURRENCY_DEFAULT);
  const { minorUnits, problem } = parseAmountIn(request.amount, amountCurrency);
  if (problem)
    problems.push(
      amountProblem(problem, { field: 'amount', text: request.amount, currency: amountCurrency }),
    );
  if (account && currency !== account.currency) {
    problems.push(valueProblem('CURRENCY_MISMATCH', 'currency', currency));
  }
  problems.push(...textProblems(request.description, 'description', DESCRIPTION));
  return minorUnits === undefined || problems.length > 0
    ? { problems }
    : { amountMinor: minorUnits };
}
