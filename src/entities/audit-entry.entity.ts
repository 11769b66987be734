import { defineEntity, p } from '@mikro-orm/core';
import type { Origin } from '../domain/caller.js';
import { ERROR_CODES } from '../domain/errors.js';
import { newId } from '../domain/id.js';
import { UuidColumn } from './column-types.js';

/** The mutations, by name. */
export const AUDITED_ACTIONS = [
  'performBulkTransfer',
  'openAccount',
  'creditAccount',
  'createApiKey',
  'revokeApiKey',
  'retryOutboxMessage',
] as const;

export type AuditedAction = (typeof AUDITED_ACTIONS)[number];

/**
 * What a mutation came to: DONE; REPLAYED, where its key had been used for the same before; NOT_FOUND;
 * UNKNOWN, where nobody can say whether it was committed; or what it was refused for.
 */
export const AUDITED_OUTCOMES = [
  'DONE',
  'REPLAYED',
  'NOT_FOUND',
  'FORBIDDEN',
  'BAD_USER_INPUT',
  'ABANDONED',
  'UNKNOWN',
  ...ERROR_CODES,
] as const;

export type AuditedOutcomeCode = (typeof AUDITED_OUTCOMES)[number];

const ACTOR_CHARACTERS_MAX = 255;

/** What a mutation came to. */
export interface AuditedOutcome {
  readonly action: AuditedAction;
  readonly outcome: AuditedOutcomeCode;
  readonly accountId?: string | undefined;
  /** What it made or changed: a bulk, a ledger entry, a key, a message. */
  readonly subjectId?: string | undefined;
}

/** Who did what, when, from where, with what result. Nothing of it ever changes. */
export class AuditEntry {
  id!: string;
  at!: Date;
  action!: AuditedAction;
  outcome!: AuditedOutcomeCode;
  actor!: string;
  actorKind!: string;
  remoteAddress!: string;
  requestId!: string;
  accountId!: string | null;
  subjectId!: string | null;

  static of(
    { caller, requestId, remoteAddress }: Origin,
    what: AuditedOutcome,
    at: Date,
  ): AuditEntry {
    return Object.assign(new AuditEntry(), {
      id: newId(),
      at,
      action: what.action,
      outcome: what.outcome,
      actor: [...caller.name].slice(0, ACTOR_CHARACTERS_MAX).join(''),
      actorKind: caller.kind,
      remoteAddress,
      requestId,
      accountId: what.accountId ?? null,
      subjectId: what.subjectId ?? null,
    });
  }
}

export const AuditEntrySchema = defineEntity({
  class: AuditEntry,
  tableName: 'audit_entry',
  properties: {
    id: p.type(UuidColumn).primary(),
    at: p.datetime().length(3),
    action: p.string().length(40).$type<AuditedAction>(),
    outcome: p.string().length(40).$type<AuditedOutcomeCode>(),
    actor: p.string().length(ACTOR_CHARACTERS_MAX),
    actorKind: p.string().length(20),
    remoteAddress: p.string().length(45),
    requestId: p.string().length(36),
    accountId: p.type(UuidColumn).nullable(),
    subjectId: p.type(UuidColumn).nullable(),
  },
  indexes: [{ name: 'audit_entry_account_id_index', properties: ['accountId', 'id'] }],
});
