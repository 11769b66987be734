/** The migrations of SQLite, in the order in which they run. */
import CreateLedger from './20261123120000_create_ledger.js';
import ScheduleOutbox from './20261123180000_schedule_outbox.js';
import AddAccess from './20261125120000_add_access.js';
import AddIncomingTransfers from './20261126120000_add_incoming_transfers.js';
import NameLeaseHolders from './20261126140000_name_lease_holders.js';
import CreateOrganizations from './20261126160000_create_organizations.js';
import NameOutboxSubjects from './20261127120000_name_outbox_subjects.js';

export const MIGRATIONS = [
  { name: '20261123120000_create_ledger', class: CreateLedger },
  { name: '20261123180000_schedule_outbox', class: ScheduleOutbox },
  { name: '20261125120000_add_access', class: AddAccess },
  { name: '20261126120000_add_incoming_transfers', class: AddIncomingTransfers },
  { name: '20261126140000_name_lease_holders', class: NameLeaseHolders },
  { name: '20261126160000_create_organizations', class: CreateOrganizations },
  { name: '20261127120000_name_outbox_subjects', class: NameOutboxSubjects },
];
