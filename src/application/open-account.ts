import { CURRENCY_DEFAULT } from '../domain/bulk-transfer.js';
import type { RequestSource } from '../domain/caller.js';
import { listedCurrency, openingFaultOf } from '../domain/currency.js';
import {
  bicProblem,
  type IbanCheck,
  ibanProblem,
  normaliseBic,
  normaliseIban,
} from '../domain/iban.js';
import type { NewId } from '../domain/id.js';
import { canonicalId, shortIdOf } from '../domain/id.js';
import { amountProblem, isZero, parseAmountIn } from '../domain/money.js';
import { rejected } from '../domain/mutations.js';
import { type Problem, requiredProblem, valueProblem } from '../domain/problem.js';
import { NAME, textProblems } from '../domain/text.js';
import { Account } from '../entities/account.entity.js';
import { AuditEntry } from '../entities/audit-entry.entity.js';
import { Organization } from '../entities/organization.entity.js';
import { recordCredit } from './credit-account.js';
import type { Clock } from './ports/clock.js';
import type { LedgerReader } from './ports/ledger-reader.js';
import type { UnitOfWork } from './ports/unit-of-work.js';

/** With a million accounts, one id in four thousand has a short id that is taken. */
const SHORT_ID_ATTEMPTS_MAX = 10;

/** The key for which all openings take turns. Most openings are for an organization that does not exist yet. */
const OPENINGS = 'openings';

export interface OpenAccountRequest {
  /** The id of an existing organization; absent for a new organization. */
  readonly organizationId?: string | null | undefined;
  readonly organizationName: string;
  readonly iban: string;
  readonly bic: string;
  readonly currency?: string | null | undefined;
  /** The opening balance in major units; "0" or absent for none. */
  readonly openingBalance?: string | null | undefined;
}

/**
 * Opens an account, with its opening balance as its first ledger entry.
 * @throws DomainError with a code of MUTATIONS.openAccount
 */
export type OpenAccount = (request: OpenAccountRequest, source: RequestSource) => Promise<Account>;

export interface OpenAccountPorts {
  readonly reader: LedgerReader;
  readonly unitOfWork: UnitOfWork;
  readonly clock: Clock;
  readonly newId: NewId;
  readonly ibanCheck: IbanCheck;
}

/** The facts of an account to open, in their normalised form. */
interface Opening {
  /** The id of an existing organization; undefined for a new organization. */
  readonly organizationId: string | undefined;
  readonly organizationName: string;
  readonly iban: string;
  readonly bic: string;
  readonly currency: string;
  /** The opening balance in minor units; 0 for none. */
  readonly balanceMinor: bigint;
}

/** The result of reading a request: an opening or its problems. */
type OpeningReading =
  | { readonly opening: Opening; readonly problems?: undefined }
  | { readonly opening?: undefined; readonly problems: readonly Problem[] };

export function makeOpenAccount(ports: OpenAccountPorts): OpenAccount {
  const { reader, unitOfWork, clock, newId, ibanCheck } = ports;
  return async (request, source) => {
    const { opening, problems } = await readRequest(request, reader, ibanCheck);
    if (problems) throw rejected('openAccount', { code: 'INVALID_INPUT', problems });
    const { organizationId, balanceMinor, ...facts } = opening;
    const { iban, organizationName } = facts;
    const existing = await reader.accountByIban(iban);
    if (existing) {
      throw rejected('openAccount', { code: 'ACCOUNT_EXISTS', accountId: existing.id, iban });
    }
    const at = clock();
    const accountId = await newAccountId(ports);
    const { isAbandoned } = source;
    const turn = { organizationId: OPENINGS, accountIds: [], rowCount: 1, isAbandoned };
    return unitOfWork.run(turn, (ledger) => {
      const organization = Organization.of({
        id: organizationId ?? newId(),
        name: organizationName,
        createdAt: at,
      });
      const account = Account.open({
        id: accountId,
        organizationId: organization.id,
        ...facts,
        at,
      });
      const done = { action: 'openAccount', outcome: 'DONE', accountId: account.id } as const;
      const audit = AuditEntry.of({ id: newId(), at, source, ...done });
      const opened = organizationId === undefined ? organization : undefined;
      ledger.open(account, audit, opened);
      if (balanceMinor > 0n) {
        const credit = { amountMinor: balanceMinor, description: 'Opening balance' };
        recordCredit({ ledger, newId, at }, account, credit);
      }
      return account;
    });
  };
}

/**
 * Makes the id of an account, with a short id that no other account has. If two openings make the same short id at the
 * same time, the database refuses the later one, and its client sends it again.
 */
async function newAccountId({ newId, reader }: OpenAccountPorts): Promise<string> {
  for (let attempt = 1; attempt <= SHORT_ID_ATTEMPTS_MAX; attempt += 1) {
    const id = newId();
    if (!(await reader.hasShortId(shortIdOf(id)))) return id;
  }
  throw new Error('No short id is free');
}

async function readRequest(
  request: OpenAccountRequest,
  reader: LedgerReader,
  ibanCheck: IbanCheck,
): Promise<OpeningReading> {
  const { organizationName } = request;
  const iban = normaliseIban(request.iban);
  const bic = normaliseBic(request.bic);
  const currency = request.currency ?? CURRENCY_DEFAULT;
  const balance = readOpeningBalance(request.openingBalance ?? '0', currency);
  const problems = [
    ...textProblems(organizationName, 'organizationName', NAME),
    ...(await organizationProblems(request, reader)),
    ...ibanProblems(iban, request.iban, ibanCheck),
    ...bicProblems(bic, request.bic, ibanCheck),
    ...currencyProblems(currency),
  ];
  if (balance.problem) problems.push(balance.problem);
  if (balance.problem || problems.length > 0) return { problems };
  const organizationId = canonicalId(request.organizationId ?? '');
  const balanceMinor = balance.minorUnits;
  return { opening: { organizationId, organizationName, iban, bic, currency, balanceMinor } };
}

async function organizationProblems(
  { organizationId, organizationName }: OpenAccountRequest,
  reader: LedgerReader,
): Promise<Problem[]> {
  if (organizationId == null) return [];
  const id = canonicalId(organizationId);
  const [organization] = id === undefined ? [] : await reader.organizationsById([id]);
  if (!organization) {
    const message =
      'No organization has this id: check it, or omit it to open an account of a new organization.';
    return [{ field: 'organizationId', code: 'MISMATCH', message }];
  }
  return organization.name === organizationName
    ? []
    : [valueProblem('MISMATCH', 'organizationName', organizationName)];
}

function ibanProblems(iban: string, sent: string, check: IbanCheck): Problem[] {
  if (iban === '') return [requiredProblem('iban')];
  const problem = ibanProblem(iban, check);
  return problem ? [valueProblem(problem, 'iban', sent)] : [];
}

function bicProblems(bic: string, sent: string, check: IbanCheck): Problem[] {
  if (bic === '') return [requiredProblem('bic')];
  const problem = bicProblem(sent, 'bic', check);
  return problem ? [problem] : [];
}

function currencyProblems(currency: string): Problem[] {
  const message = openingFaultOf(currency);
  if (message === undefined) return [];
  return [{ field: 'currency', code: 'CURRENCY_MISMATCH', message }];
}

type BalanceReading =
  | { readonly minorUnits: bigint; readonly problem?: undefined }
  | { readonly minorUnits?: undefined; readonly problem: Problem };

function readOpeningBalance(text: string, currency: string): BalanceReading {
  if (isZero(text)) return { minorUnits: 0n };
  const known = listedCurrency(currency, CURRENCY_DEFAULT);
  const { minorUnits, problem } = parseAmountIn(text, known);
  return problem
    ? { problem: amountProblem(problem, { field: 'openingBalance', text, currency: known }) }
    : { minorUnits };
}
