import { Arg, Args, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import type { ManageApiKeys } from '../application/manage-api-keys.js';
import type { ApiKeyStore } from '../application/ports/api-key-store.js';
import type { ApiKey } from '../entities/api-key.entity.js';
import {
  ApiKeyConnection,
  ApiKeyCreatedType,
  ApiKeyType,
  CreateApiKeyInput,
  CreateApiKeyResult,
} from '../schema/api-key.js';
import { type Connection, PageArgs } from '../schema/page.js';
import { audited } from './audited.js';
import { type RequestContext, requireRole } from './context.js';
import { API_KEYS } from './cursor-scopes.js';
import { make, presentPage } from './present.js';
import { readPageRange } from './read-page-range.js';

@Resolver(() => ApiKeyType)
export class ApiKeyResolver {
  constructor(
    private readonly useCases: ManageApiKeys,
    private readonly store: ApiKeyStore,
  ) {}

  @Query(() => ApiKeyConnection, {
    description:
      'All API keys, including revoked ones, oldest first, without their secrets. Requires the role OPERATOR, else FORBIDDEN.',
  })
  async apiKeys(
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() context: RequestContext,
  ): Promise<Connection<ApiKeyType>> {
    requireRole(context, 'operator');
    const keys = await this.store.list(await readPageRange(page, API_KEYS, context.reader));
    return presentPage(keys, API_KEYS, presentApiKey);
  }

  @Mutation(() => CreateApiKeyResult, {
    description:
      'Makes an API key for a machine. Only this answer contains its secret. Requires the role OPERATOR, else FORBIDDEN. A wrong input is refused with all of its problems, and no key is made.',
  })
  createApiKey(
    @Arg('input', () => CreateApiKeyInput, {
      description: 'The purpose, organizations and roles of the key.',
    })
    input: CreateApiKeyInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof CreateApiKeyResult> {
    return audited(context, 'createApiKey', async () => {
      const { apiKey, secret } = await this.useCases.create(input, context.source);
      return { answer: make(ApiKeyCreatedType, { apiKey: presentApiKey(apiKey), secret }) };
    });
  }

  @Mutation(() => ApiKeyType, {
    nullable: true,
    description:
      'Revokes an API key: within five seconds for requests, within ten for streams. Null if no key has the prefix. A key that was revoked before is returned unchanged. Requires the role OPERATOR, else FORBIDDEN.',
  })
  revokeApiKey(
    @Arg('prefix', () => String, { description: 'The value of ApiKey.prefix: 12 characters.' })
    prefix: string,
    @Ctx() context: RequestContext,
  ): Promise<ApiKeyType | null> {
    return audited(context, 'revokeApiKey', async () => {
      const apiKey = await this.useCases.revoke(prefix, context.source);
      return { answer: apiKey && presentApiKey(apiKey) };
    });
  }
}

function presentApiKey(apiKey: ApiKey): ApiKeyType {
  const { prefix, name, organizationIds, roles, createdAt, createdBy } = apiKey;
  const { expiresAt, lastUsedAt, revokedAt } = apiKey;
  return make(ApiKeyType, {
    prefix,
    name,
    organizationIds,
    roles,
    createdAt,
    createdBy,
    expiresAt,
    lastUsedAt,
    revokedAt,
  });
}
