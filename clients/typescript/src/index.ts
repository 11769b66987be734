export { createVirementClient, type VirementClient } from './client.js';
export type { ClientOptions } from './connection.js';
export { type ClientErrorCode, type InputProblem, VirementError } from './errors.js';
export type { FollowOptions } from './follow.js';
export type {
  AccountFieldsFragment as Account,
  BulkTransferFieldsFragment as BulkTransfer,
  CreditTransferInput,
  IncomingTransferFieldsFragment as IncomingTransfer,
  LedgerEntryFieldsFragment as LedgerEntry,
  PerformBulkTransferInput,
  TransferFieldsFragment as Transfer,
  TransferFilter,
} from './generated/graphql.js';
export type {
  ImportableFile,
  ImportedOrder,
  ImportOptions,
  ImportProgress,
  ImportResult,
} from './import-file.js';
export type { FilteredWalkOptions, Item, WalkOptions } from './pages.js';
export type { PerformOptions, PerformResult } from './perform.js';
export type {
  BalanceEvent,
  BulkTransferEvent,
  IncomingTransferEvent,
  TransferEvent,
} from './subscriptions.js';
