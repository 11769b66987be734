/** The migrations of MySQL and MariaDB, in the order in which they run. */
import CreateLedger from './20261127180000_create_ledger.js';

export const MIGRATIONS = [{ name: '20261127180000_create_ledger', class: CreateLedger }];
