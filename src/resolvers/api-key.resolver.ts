import { Arg, Args, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import type { ManageApiKeys } from '../application/manage-api-keys.js';
import type { ApiKeyStore } from '../application/ports.js';
import { pageRange } from '../domain/page.js';
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

@Resolver(() => ApiKeyType)
export class ApiKeyResolver {
  constructor(
    private readonly useCases: ManageApiKeys,
    private readonly store: ApiKeyStore,
  ) {}

  @Query(() => ApiKeyConnection, { description: "Oldest first. For the bank's own staff." })
  async apiKeys(
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() context: RequestContext,
  ): Promise<Connection<ApiKeyType>> {
    requireRole(context, 'operator');
    const keys = await this.store.list(pageRange(page, API_KEYS));
    return presentPage(keys, API_KEYS, presentApiKey);
  }

  @Mutation(() => CreateApiKeyResult, { description: "For the bank's own staff." })
  createApiKey(
    @Arg('input', () => CreateApiKeyInput) input: CreateApiKeyInput,
    @Ctx() context: RequestContext,
  ): Promise<typeof CreateApiKeyResult> {
    return audited(context, 'createApiKey', async () => {
      requireRole(context, 'operator');
      const { apiKey, secret } = await this.useCases.create(input, context.origin);
      return { answer: make(ApiKeyCreatedType, { apiKey: presentApiKey(apiKey), secret }) };
    }) as Promise<typeof CreateApiKeyResult>;
  }

  @Mutation(() => ApiKeyType, {
    nullable: true,
    description:
      "Ends a key within five seconds; null where none has the prefix. For the bank's own staff.",
  })
  revokeApiKey(
    @Arg('prefix', () => String) prefix: string,
    @Ctx() context: RequestContext,
  ): Promise<ApiKeyType | null> {
    return audited(context, 'revokeApiKey', async () => {
      requireRole(context, 'operator');
      const apiKey = await this.useCases.revoke(prefix, context.origin);
      return { answer: apiKey && presentApiKey(apiKey) };
    }) as Promise<ApiKeyType | null>;
  }
}

function presentApiKey(apiKey: ApiKey): ApiKeyType {
  const { prefix, name, organizationIds, roles, createdAt, createdBy, revokedAt } = apiKey;
  return make(ApiKeyType, {
    prefix,
    name,
    organizationIds,
    roles,
    createdAt,
    createdBy,
    revokedAt,
  });
}
