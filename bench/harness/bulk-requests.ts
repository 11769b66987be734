/** The accounts of the bench, and the bulks that they send. They are the same for every subject. */
import { composeIBAN } from 'ibantools';

/** One row of a bulk, as a client sends it. */
export interface CreditTransfer {
  readonly amount: string;
  readonly counterpartyName: string;
  readonly counterpartyIban: string;
  readonly description: string;
}

/** The input of performBulkTransfer, as a client sends it. */
export interface BulkRequest {
  readonly organizationIban: string;
  readonly creditTransfers: readonly CreditTransfer[];
}

/** A transfer is one cent, so no program reaches the end of this balance. */
export const OPENING_BALANCE = '900000000.00';
export const BIC = 'TESTNL2AXXX';
const AMOUNT = '0.01';

/** Requests in flight at once, to the hot account or to many accounts. */
export const IN_FLIGHT = 64;

/** Accounts that send single transfers side by side. */
const MANY_ACCOUNTS = 64;

/** In a bulk with book transfers, every tenth row goes to one of the receiving accounts, in turn. */
const BOOK_ROW_EVERY = 10;
const RECEIVERS = 10;

const ACCOUNT_NUMBERS_FROM = 9_000_000_000;

/** Returns a Dutch IBAN of a bank that does not exist, a different one for each number. */
function ibanOf(number: number): string {
  const iban = composeIBAN({ countryCode: 'NL', bban: `TEST${String(number).padStart(10, '0')}` });
  if (!iban) throw new Error(`No IBAN has the number ${number}`);
  return iban;
}

const accountIban = (number: number) => ibanOf(ACCOUNT_NUMBERS_FROM + number);

/** The account that sends bulks of many transfers. */
export const BULK_ACCOUNT = accountIban(0);
/** The account to which all requests in flight go at once. */
export const HOT_ACCOUNT = accountIban(1);
/** The account with a long history. */
export const LARGE_ACCOUNT = accountIban(2);
/** The account with a short history. */
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

/** Returns a bulk to counterparties at other banks, a different one in each row. */
export function bulkRequest(organizationIban: string, transfers: number): BulkRequest {
  const creditTransfers = Array.from({ length: transfers }, (_, index) =>
    creditTransfer(index, undefined),
  );
  return { organizationIban, creditTransfers };
}

/** Returns the same bulk with every tenth row to an account of the ledger. */
export function bulkRequestWithBookTransfers(
  organizationIban: string,
  transfers: number,
): BulkRequest {
  const creditTransfers = Array.from({ length: transfers }, (_, index) => {
    const turn = (index / BOOK_ROW_EVERY) % RECEIVERS;
    return creditTransfer(index, RECEIVING_ACCOUNTS[turn]);
  });
  return { organizationIban, creditTransfers };
}

/** The bulks of each workload, which are sent in turn. */
export const BULK_OF_1000 = [bulkRequest(BULK_ACCOUNT, 1_000)];
export const BULK_OF_10000 = [bulkRequest(BULK_ACCOUNT, 10_000)];
export const HOT_ACCOUNT_BULKS = [bulkRequest(HOT_ACCOUNT, 1)];
export const MANY_ACCOUNTS_BULKS = SIDE_BY_SIDE_ACCOUNTS.map((iban) => bulkRequest(iban, 1));
