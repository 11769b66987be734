import { CURRENCY_DEFAULT } from '../domain/bulk-transfer.js';
import type { Origin } from '../domain/caller.js';
import { listedCurrency, openingFaultOf } from '../domain/currency.js';
import {
  bicProblem,
  type IbanCheck,
  ibanProblem,
  normaliseBic,
  normaliseIban,
} from '../domain/iban.js';
import { newId } from '../domain/id.js';
import { amountProblem, isZero, parseAmountIn } from '../domain/money.js';
import { rejected } from '../domain/mutations.js';
import { canonicalId } from '../domain/page.js';
import { type Problem, requiredProblem, valueProblem } from '../domain/problem.js';
import { NAME, textProblems } from '../domain/text.js';
import { Account } from '../entities/account.entity.js';
import { AuditEntry } from '../entities/audit-entry.entity.js';
import { Organization } from '../entities/organization.entity.js';
import { recordCredit } from './credit-account.js';
import type { Clock } from './ports/clock.js';
import type { LedgerReader } from './ports/ledger-reader.js';
import type { UnitOfWork } from './ports/unit-of-work.js';

/** Openings take the turns of no organization: most are for one that does not exist yet. */
const OPENINGS = 'openings';

export interface OpenAccountRequest {
  /** Of an organization that exists; absent: a new organization. */
  readonly organizationId?: string | null | undefined;
  readonly organizationName: string;
  readonly iban: string;
  readonly bic: string;
  readonly currency?: string | null | undefined;
  /** In major units; "0" or absent for none. */
  readonly openingBalance?: string | null | undefined;
}

/**
 * Opens an account, with its opening balance as its first ledger entry.
 * @throws DomainError with a code of MUTATIONS.openAccount
 */
export type OpenAccount = (request: OpenAccountRequest, origin: Origin) => Promise<Account>;

export interface OpenAccountPorts {
  readonly reader: LedgerReader;
  readonly unitOfWork: UnitOfWork;
  readonly clock: Clock;
  readonly ibanCheck: IbanCheck;
}

export function makeOpenAccount(ports: OpenAccountPorts): OpenAccount {
  const { reader, unitOfWork, clock, ibanCheck } = ports;
  return async (request, origin) => {
    const iban = normaliseIban(request.iban);
    const currency = request.currency ?? CURRENCY_DEFAULT;
    const opening = readOpeningBalance(request.openingBalance ?? '0', currency);
    const problems = [
      ...textProblems(request.organizationName, 'organizationName', NAME),
      ...(await organizationProblems(request, reader)),
      ...ibanProblems(request.iban, ibanCheck),
      ...bicProblems(request.bic, ibanCheck),
      ...currencyProblems(currency),
      ...opening.problems,
    ];
    if (problems.length > 0) throw rejected('openAccount', { code: 'INVALID_INPUT', problems });
    const existing = await reader.accountByIban(iban);
    if (existing) {
      throw rejected('openAccount', { code: 'ACCOUNT_EXISTS', accountId: existing.id, iban });
    }
    const at = clock();
    const { isAbandoned } = origin;
    const turn = { organizationId: OPENINGS, accountIds: [], rowCount: 1, isAbandoned };
    return unitOfWork.run(turn, (ledger) => {
      const known = canonicalId(request.organizationId ?? '');
      const organization = { id: known ?? newId(), name: request.organizationName, createdAt: at };
      const account = Account.open({
        id: newId(),
        organizationId: organization.id,
        organizationName: organization.name,
        iban,
        bic: normaliseBic(request.bic),
        currency,
        at,
      });
      const done = { action: 'openAccount', outcome: 'DONE', accountId: account.id } as const;
      const opened = known === undefined ? new Organization(organization) : undefined;
      ledger.open(account, AuditEntry.of(origin, done, at), opened);
      if (opening.minorUnits > 0n) {
        const description = 'Opening balance';
        recordCredit(ledger, account, { amountMinor: opening.minorUnits, description }, at);
      }
      return account;
    });
  };
}

async function organizationProblems(
  { organizationId, organizationName }: OpenAccountRequest,
  reader: LedgerReader,
): Promise<Problem[]> {
  if (organizationId == null) return [];
  const id = canonicalId(organizationId);
  const [organization] = id === undefined ? [] : await reader.organizationsById([id]);
  if (!organization) {
    const message = 'No organization has this id.';
    return [{ field: 'organizationId', code: 'MISMATCH', message }];
  }
  return organization.name === organizationName
    ? []
    : [valueProblem('MISMATCH', 'organizationName', organizationName)];
}

function ibanProblems(sent: string, check: IbanCheck): Problem[] {
  const iban = normaliseIban(sent);
  if (iban === '') return [requiredProblem('iban')];
  const problem = ibanProblem(iban, check);
  return problem ? [valueProblem(problem, 'iban', sent)] : [];
}

function bicProblems(sent: string, check: IbanCheck): Problem[] {
  if (normaliseBic(sent) === '') return [requiredProblem('bic')];
  const problem = bicProblem(sent, 'bic', check);
  return problem ? [problem] : [];
}

function currencyProblems(currency: string): Problem[] {
  const message = openingFaultOf(currency);
  if (message === undefined) return [];
  return [{ field: 'currency', code: 'CURRENCY_MISMATCH', message }];
}

function readOpeningBalance(
  text: string,
  currency: string,
): { readonly minorUnits: bigint; readonly problems: Problem[] } {
  if (isZero(text)) return { minorUnits: 0n, problems: [] };
  const known = listedCurrency(currency, CURRENCY_DEFAULT);
  const parsed = parseAmountIn(text, known);
  if (!parsed.problem) return { minorUnits: parsed.minorUnits, problems: [] };
  return {
    minorUnits: 0n,
    problems: [amountProblem(parsed.problem, 'openingBalance', text, known)],
  };
}
