import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import {
  type ApiKeyFault,
  type ApiKeyOwner,
  formatApiKey,
  parseApiKey,
} from '../domain/api-key.js';
import type { RequestSource } from '../domain/caller.js';
import type { NewId } from '../domain/id.js';
import { canonicalId, isId } from '../domain/id.js';
import type { Role } from '../domain/kinds.js';
import { rejected } from '../domain/mutations.js';
import type { Problem } from '../domain/problem.js';
import { NAME, textProblems } from '../domain/text.js';
import { ApiKey } from '../entities/api-key.entity.js';
import { AuditEntry } from '../entities/audit-entry.entity.js';
import type { ApiKeyStore } from './ports/api-key-store.js';
import type { Clock } from './ports/clock.js';
import type { LedgerReader } from './ports/ledger-reader.js';

const PREFIX_BYTES = 6;
const SECRET_BYTES = 32;

/** The largest number of items in each list of a request. */
const ORGANIZATIONS_MAX = 100;
const ROLES_MAX = 100;

/** The last time that MySQL stores. */
const LAST_TIME = new Date('9999-12-31T23:59:59.999Z');

/** The accuracy of ApiKey.lastUsedAt, so that a busy key is written once an hour. */
const USE_NOTED_MS = 3_600_000;

/** The pause between two tries to record the use of a key, so that a database that refuses them is left alone. */
const TRIED_MS = 600_000;
const TRIED_MAX = 10_000;

export interface CreateApiKeyRequest {
  readonly name: string;
  readonly organizationIds: readonly string[];
  readonly roles: readonly Role[];
  readonly expiresAt?: Date | null;
}

export interface CreatedApiKey {
  readonly apiKey: ApiKey;
  /** The complete key, which is shown only in this answer. */
  readonly secret: string;
}

export interface ManageApiKeys {
  /** @throws DomainError INVALID_INPUT */
  create(request: CreateApiKeyRequest, source: RequestSource): Promise<CreatedApiKey>;
  /** @returns the key; null if no key has the prefix */
  revoke(prefix: string, source: RequestSource): Promise<ApiKey | null>;
}

export interface ApiKeyPorts {
  readonly apiKeys: ApiKeyStore;
  /** The reader that sees all accounts. */
  readonly reader: LedgerReader;
  readonly clock: Clock;
  readonly newId: NewId;
}

export function makeManageApiKeys({ apiKeys, reader, clock, newId }: ApiKeyPorts): ManageApiKeys {
  return {
    create: async (sent, source) => {
      const organizationIds = sent.organizationIds.map((id) => canonicalId(id) ?? id);
      const request = { ...sent, organizationIds };
      const now = clock();
      const problems = [
        ...problemsOf(request, now),
        ...(await unknownOrganizations(request, reader)),
      ];
      if (problems.length > 0) throw rejected('createApiKey', { code: 'INVALID_INPUT', problems });
      const prefix = randomBytes(PREFIX_BYTES).toString('hex');
      const secret = randomBytes(SECRET_BYTES).toString('base64url');
      const apiKey = ApiKey.of({
        id: newId(),
        prefix,
        secretHash: hashOf(secret).toString('hex'),
        name: request.name,
        organizationIds: [...new Set(organizationIds)],
        roles: [...new Set(request.roles)],
        createdAt: now,
        createdBy: source.caller.name,
        expiresAt: request.expiresAt ?? null,
      });
      const done = { action: 'createApiKey', outcome: 'DONE', subjectId: apiKey.id } as const;
      const { createdAt: at } = apiKey;
      await apiKeys.add(apiKey, AuditEntry.of({ id: newId(), at, source, ...done }));
      return { apiKey, secret: formatApiKey({ prefix, secret }) };
    },
    revoke: (prefix, source) => apiKeys.revoke(prefix, source),
  };
}

function problemsOf(
  { name, organizationIds, roles, expiresAt }: CreateApiKeyRequest,
  now: Date,
): Problem[] {
  const problems = textProblems(name, 'name', NAME);
  if (expiresAt && (expiresAt <= now || expiresAt > LAST_TIME)) {
    const message = 'The expiry must be in the future, and before the year 10000.';
    problems.push({ field: 'expiresAt', code: 'MISMATCH', message });
  }
  if (roles.length === 0) {
    problems.push({ field: 'roles', code: 'TOO_FEW', message: 'A key needs at least one role.' });
  }
  if (roles.length > ROLES_MAX) {
    const message = `A key may have at most ${ROLES_MAX} roles.`;
    problems.push({ field: 'roles', code: 'TOO_MANY', message });
  }
  if (organizationIds.length > ORGANIZATIONS_MAX) {
    const message = `A key may have at most ${ORGANIZATIONS_MAX} organizations.`;
    problems.push({ field: 'organizationIds', code: 'TOO_MANY', message });
  }
  if (!organizationIds.every(isId)) {
    const message = 'Each value must be the id of an organization, a UUID.';
    problems.push({ field: 'organizationIds', code: 'MISMATCH', message });
  }
  return problems;
}

/**
 * Returns the problem of the first organization that does not exist. Malformed ids, and too many ids, are not looked
 * up.
 */
async function unknownOrganizations(
  { organizationIds }: CreateApiKeyRequest,
  reader: LedgerReader,
): Promise<Problem[]> {
  if (organizationIds.length > ORGANIZATIONS_MAX || !organizationIds.every(isId)) return [];
  const known = await reader.organizationsById(organizationIds);
  const unknown = organizationIds.find((_, index) => known[index] === null);
  if (unknown === undefined) return [];
  const message = `No organization has the id ${unknown}.`;
  return [{ field: 'organizationIds', code: 'MISMATCH', message }];
}

/** Makes the check of API keys. A key that does not exist, is wrong or was revoked is INVALID. */
export function makeApiKeyCheck(
  apiKeys: ApiKeyStore,
  clock: Clock,
): (key: string) => Promise<ApiKeyOwner | ApiKeyFault> {
  const tried = new LRUCache<string, true>({ max: TRIED_MAX, ttl: TRIED_MS });
  const noteUse = (apiKey: ApiKey, now: Date) => {
    if (tried.has(apiKey.id)) return;
    tried.set(apiKey.id, true);
    recordUse(apiKey, apiKeys, now);
  };
  return (key) => checkApiKey(key, { apiKeys, noteUse }, clock());
}

interface CheckPorts {
  readonly apiKeys: ApiKeyStore;
  readonly noteUse: (apiKey: ApiKey, now: Date) => void;
}

async function checkApiKey(
  key: string,
  { apiKeys, noteUse }: CheckPorts,
  now: Date,
): Promise<ApiKeyOwner | ApiKeyFault> {
  const parts = parseApiKey(key);
  if (!parts) return 'INVALID';
  const { prefix, secret } = parts;
  const apiKey = await apiKeys.byPrefix(prefix);
  // The hash is compared even if no key exists, so the response time reveals nothing.
  const kept = Buffer.from(apiKey?.secretHash ?? '0'.repeat(64), 'hex');
  const isRight = timingSafeEqual(hashOf(secret), kept);
  if (!apiKey || !isRight || apiKey.revokedAt !== null) return 'INVALID';
  if (apiKey.expiresAt !== null && apiKey.expiresAt <= now) return 'EXPIRED';
  noteUse(apiKey, now);
  const { organizationIds, roles, expiresAt } = apiKey;
  return { caller: { kind: 'api-key', name: prefix, organizationIds, roles }, expiresAt };
}

/** Records the use of a key, unless that was done in the last hour. Nobody waits for it, and it may fail. */
function recordUse({ id, createdAt, lastUsedAt }: ApiKey, apiKeys: ApiKeyStore, now: Date): void {
  const since = new Date(now.getTime() - USE_NOTED_MS);
  if (lastUsedAt !== null && lastUsedAt > since) return;
  // The clock of the server that created the key may be ahead of this clock.
  const at = createdAt > now ? createdAt : now;
  apiKeys.noteUse(id, at, since).catch(() => {});
}

function hashOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
