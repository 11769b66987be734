import type { CreditTransferRequest } from '../../domain/bulk-transfer.js';
import type { OrderFileWarning } from '../../domain/order-file.js';
import type { FileProblem } from '../../domain/order-warnings.js';

/** The bytes of a file that was received whole. They can be read several times. */
export interface FileBytes {
  /** The number of bytes. */
  readonly size: number;
  /** Reads the file from its beginning, in parts. */
  read(): AsyncIterable<Uint8Array>;
}

/** One order of a file: a CSV file has one, a pain.001 file one for each PmtInf. */
export interface FileOrder {
  /** The name that the file gives: PmtInfId; null if it gives none. */
  readonly name: string | null;
  /** The account to debit, in electronic form; null if the file names none. */
  readonly organizationIban: string | null;
  /** The day on which the file asks to execute it: YYYY-MM-DD; null if it asks for none. */
  readonly executionDate: string | null;
  readonly rowCount: number;
  /** What is wrong with the order as a whole, such as a control sum. Its rows are kept nevertheless. */
  readonly problems: readonly FileProblem[];
  readonly warnings: readonly OrderFileWarning[];
}

export interface FileRow {
  /** The number of its order in the file, from 0. Rows of one order follow each other. */
  readonly order: number;
  /** The line of the file on which the row begins, from 1. */
  readonly line: number;
  /** The values as the file writes them, but for amounts, which are plain decimal numbers where they can be read. */
  readonly values: CreditTransferRequest;
  /** Problems that only the file shows. The rules of a bulk transfer are not among them. */
  readonly problems: readonly FileProblem[];
}

/** A file after its first reading. */
export interface OrderFile {
  readonly orders: readonly FileOrder[];
  /** The column of each field that the file has, for problems that are found later. */
  readonly columns: Readonly<Partial<Record<keyof CreditTransferRequest, string>>>;
  /** Reads the rows in the order of the file, in batches of at most 1,000. */
  rows(): AsyncIterable<readonly FileRow[]>;
}

/**
 * Reads a file once from its beginning to its end: encoding, structure, counts and sums.
 * @throws DomainError INVALID_INPUT with the problems of a file that cannot be read as this format
 */
export type ReadOrderFile = (file: FileBytes) => Promise<OrderFile>;
