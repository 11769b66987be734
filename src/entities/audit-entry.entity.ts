import { defineEntity, p } from '@mikro-orm/core';
import type { RequestSource } from '../domain/caller.js';
import type { AuditedAction, AuditedOutcomeCode, CallerKind } from '../domain/kinds.js';
import { UuidColumn } from './column-types.js';

const ACTOR_CHARACTERS_MAX = 255;
const REASON_CHARACTERS_MAX = 140;

/** The outcome of a mutation. */
export interface AuditedOutcome {
  readonly action: AuditedAction;
  readonly outcome: AuditedOutcomeCode;
  readonly accountId?: string | undefined;
  /** The id of the object that the mutation made or changed: a bulk, an order, a ledger entry, a key … */
  readonly subjectId?: string | undefined;
  /** The reason that the caller gave. */
  readonly reason?: string | undefined;
}

export interface AuditEntryFacts extends AuditedOutcome {
  readonly id: string;
  readonly at: Date;
  readonly source: RequestSource;
}

/** The record of a mutation: caller, action, time, source and outcome. An audit entry never changes. */
export class AuditEntry {
  readonly id!: string;
  readonly at!: Date;
  readonly action!: AuditedAction;
  readonly outcome!: AuditedOutcomeCode;
  readonly actor!: string;
  readonly actorKind!: CallerKind;
  readonly remoteAddress!: string;
  readonly requestId!: string;
  readonly accountId!: string | null;
  readonly subjectId!: string | null;
  readonly reason!: string | null;

  static of({ id, at, source, ...what }: AuditEntryFacts): AuditEntry {
    const { caller, requestId, remoteAddress } = source;
    return Object.assign(new AuditEntry(), {
      id,
      at,
      action: what.action,
      outcome: what.outcome,
      actor: [...caller.name].slice(0, ACTOR_CHARACTERS_MAX).join(''),
      actorKind: caller.kind,
      remoteAddress,
      requestId,
      accountId: what.accountId ?? null,
      subjectId: what.subjectId ?? null,
      reason: what.reason ?? null,
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
    actorKind: p.string().length(20).$type<CallerKind>(),
    remoteAddress: p.string().length(45),
    requestId: p.string().length(36),
    accountId: p.type(UuidColumn).nullable(),
    subjectId: p.type(UuidColumn).nullable(),
    reason: p.string().length(REASON_CHARACTERS_MAX).nullable(),
  },
  indexes: [{ name: 'audit_entry_account_id_index', properties: ['accountId', 'id'] }],
});
