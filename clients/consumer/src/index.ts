export { type Consumer, consume, type EventHandler, type HandlerContext } from './consume.js';
export type { Dedupe, DedupeOptions } from './dedupe.js';
export type {
  AccountCredited,
  BulkTransferPerformed,
  EventType,
  Money,
  TransferPerformed,
  TransferReceived,
  VirementEvent,
} from './event.js';
export type { Logger } from './logger.js';
export { type MysqlConnection, type MysqlPool, mysqlDedupe } from './mysql-dedupe.js';
export type { ConsumeOptions } from './options.js';
export type { RetryOptions } from './retry-policy.js';
export { sqliteDedupe } from './sqlite-dedupe.js';
