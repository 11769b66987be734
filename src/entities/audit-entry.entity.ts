import { defineEntity, p } from '@mikro-orm/core';
import type { Origin } from '../domain/caller.js';
import { newId } from '../domain/id.js';
import type { AuditedOutcomeCode, CallerKind, MutationName } from '../domain/kinds.js';
import { UuidColumn } from './column-types.js';

const ACTOR_CHARACTERS_MAX = 255;

/** What a mutation came to. */
export interface AuditedOutcome {
  readonly action: MutationName;
  readonly outcome: AuditedOutcomeCode;
  readonly accountId?: string | undefined;
  /** What it made or changed: a bulk, a ledger entry, a key, a message. */
  readonly subjectId?: string | undefined;
}

/** Who did what, when, from where, with what result. Nothing of it ever changes. */
export class AuditEntry {
  id!: string;
  at!: Date;
  action!: MutationName;
  outcome!: AuditedOutcomeCode;
  actor!: string;
  actorKind!: CallerKind;
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
    action: p.string().length(40).$type<MutationName>(),
    outcome: p.string().length(40).$type<AuditedOutcomeCode>(),
    actor: p.string().length(ACTOR_CHARACTERS_MAX),
    actorKind: p.string().length(20).$type<CallerKind>(),
    remoteAddress: p.string().length(45),
    requestId: p.string().length(36),
    accountId: p.type(UuidColumn).nullable(),
    subjectId: p.type(UuidColumn).nullable(),
  },
  indexes: [{ name: 'audit_entry_account_id_index', properties: ['accountId', 'id'] }],
});
