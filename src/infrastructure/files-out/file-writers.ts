import type { FileWriters } from '../../application/ports/exports.js';
import { writeCamt053 } from './camt053.js';
import { writePain002 } from './pain002.js';
import { writeReceipt } from './receipt-html.js';
import { writeStatementCsv } from './statement-csv.js';
import { writeTransfersCsv } from './transfers-csv.js';

/** The writers of all formats. A kind of export without a writer does not compile. */
export const FILE_WRITERS: FileWriters = {
  statements: { STATEMENT_CAMT_053: writeCamt053, STATEMENT_CSV: writeStatementCsv },
  transfers: {
    STATUS_PAIN_002: writePain002,
    TRANSFERS_CSV: writeTransfersCsv,
    RECEIPT_HTML: writeReceipt,
  },
};
