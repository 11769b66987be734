import { defineEntity, p } from '@mikro-orm/core';
import type { Role } from '../domain/kinds.js';
import { UuidColumn } from './column-types.js';

/** The API key of a machine. Its secret is shown once, when the key is made; only a hash is stored. */
export class ApiKey {
  readonly id!: string;
  /** The public name of the key: the part of the key that is no secret. */
  readonly prefix!: string;
  /** The SHA-256 of the secret, in hexadecimal. The secret has 256 random bits, so no salt is needed. */
  readonly secretHash!: string;
  readonly name!: string;
  readonly organizationIds!: string[];
  readonly roles!: Role[];
  readonly createdAt!: Date;
  readonly createdBy!: string;
  /** The time from which the key is refused; null if it does not expire. */
  readonly expiresAt!: Date | null;
  /** A use of the key that is at most an hour older than the last one; null if it was never used. */
  readonly lastUsedAt!: Date | null;
  revokedAt!: Date | null;

  static of(facts: Omit<ApiKey, 'lastUsedAt' | 'revokedAt' | 'revoke'>): ApiKey {
    return Object.assign(new ApiKey(), facts, { lastUsedAt: null, revokedAt: null });
  }

  /** Revokes the key. A key that was revoked before keeps its time. */
  revoke(at: Date): void {
    this.revokedAt ??= at;
  }
}

export const ApiKeySchema = defineEntity({
  class: ApiKey,
  tableName: 'api_key',
  properties: {
    id: p.type(UuidColumn).primary(),
    prefix: p.string().length(16),
    secretHash: p.string().length(64),
    name: p.string().length(140),
    organizationIds: p.array().length(4_000).$type<string[]>(),
    roles: p.array().length(100).$type<Role[]>(),
    createdAt: p.datetime().length(3),
    createdBy: p.string().length(255),
    expiresAt: p.datetime().length(3).nullable(),
    lastUsedAt: p.datetime().length(3).nullable(),
    revokedAt: p.datetime().length(3).nullable(),
  },
  uniques: [{ name: 'api_key_prefix_unique', properties: ['prefix'] }],
});
