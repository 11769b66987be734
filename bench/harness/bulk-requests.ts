/** What the bench's accounts are, and the bulks that they send; the same for every subject. */
import { composeIBAN } from 'ibantools';

/** One row, as a client writes it. */
export interface CreditTransfer {
  readonly amount: string;
  readonly counterpartyName: string;
  readonly counterpartyIban: string;
  readonly description: string;
}

/** What a client asks for. */
export interface BulkOrder {
  readonly organizationIban: string;
  readonly creditTransfers: readonly CreditTransfer[];
}

/** So that no bench ever comes to its end: one cent a transfer. */
export const OPENING_BALANCE = '900000000.00';
export const BIC = 'TESTNL2AXXX';
const AMOUNT = '0.01';

/** Requests under way at once where an account is hot, or many are at work. */
export const IN_FLIGHT = 64;

/** Accounts that send single transfers side by side. */
const MANY_ACCOUNTS = 64;

/** Of a bulk with book transfers, every tenth row goes to an account here; these take turns. */
const BOOK_ROW_EVERY = 10;
const RECEIVERS = 10;

const ACCOUNT_NUMBERS_FROM = 9_000_000_000;

/** A Dutch IBAN of a bank that does not exist, another one for each number. */
function ibanOf(number: number): string {
  const iban = composeIBAN({ countryCode: 'NL', bban: `TEST${String(number).padStart(10, '0')}` });
  if (!iban) throw new Error(`No IBAN has the number ${number}`);
  return iban;
}

const accountIban = (number: number) => ibanOf(ACCOUNT_NUMBERS_FROM + number);

/** Sends bulks. */
export const BULK_ACCOUNT = accountIban(0);
/** Everyone sends from this one at once. */
const HOT_ACCOUNT = accountIban(1);
/** Its history is long. */
export const LARGE_ACCOUNT = accountIban(2);
/** Its history is short. */
export const SMALL_ACCOUNT = accountIban(3);
const RECEIVING_ACCOUNTS = Array.from({ length: RECEIVERS }, (_, at) => accountIban(10 + at));
const SIDE_BY_SIDE_ACCOUNTS = Array.from({ length: MANY_ACCOUNTS }, (_, at) =>
  accountIban(100 + at),
);

export const ACCOUNTS = [
  BULK_ACCOUNT,
  HOT_ACCOUNT,
  LARGE_ACCOUNT,
  SMALL_ACCOUNT,
  ...RECEIVING_ACCOUNTS,
  ...SIDE_BY_SIDE_ACCOUNTS,
];

function creditTransfer(index: number, receiver: string | undefined): CreditTransfer {
  return {
    amount: AMOUNT,
    counterpartyName: `Counterparty ${index} & Söhne`,
    counterpartyIban: receiver ?? ibanOf(index),
    description: `Invoice 2026/${index}`,
  };
}

/** Rows to counterparties elsewhere, each to another one. */
export function bulkOrder(organizationIban: string, transfers: number): BulkOrder {
  const creditTransfers = Array.from({ length: transfers }, (_, index) =>
    creditTransfer(index, undefined),
  );
  return { organizationIban, creditTransfers };
}

/** The same with every tenth row to an account here. */
export function bulkOrderWithBookTransfers(organizationIban: string, transfers: number): BulkOrder {
  const creditTransfers = Array.from({ length: transfers }, (_, index) => {
    const turn = (index / BOOK_ROW_EVERY) % RECEIVERS;
    return creditTransfer(index, RECEIVING_ACCOUNTS[turn]);
  });
  return { organizationIban, creditTransfers };
}

/** What is sent in turn, by name; the same wherever it is measured. */
export const THOUSAND = [bulkOrder(BULK_ACCOUNT, 1_000)];
export const TEN_THOUSAND = [bulkOrder(BULK_ACCOUNT, 10_000)];
export const HOT = [bulkOrder(HOT_ACCOUNT, 1)];
export const MANY = SIDE_BY_SIDE_ACCOUNTS.map((iban) => bulkOrder(iban, 1));
