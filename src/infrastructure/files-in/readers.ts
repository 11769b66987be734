import type { ReadOrderFile } from '../../application/ports/order-file.js';
import type { OrderFileFormat } from '../../domain/order-file.js';
import { readCsvFile } from './csv-file.js';
import { readPain001File } from './pain001-file.js';

/** The reader of each format. */
export const ORDER_FILE_READERS: Readonly<Record<OrderFileFormat, ReadOrderFile>> = {
  CSV: readCsvFile,
  PAIN_001: readPain001File,
};
