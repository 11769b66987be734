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
      'Every API key, revoked ones too, oldest first; without their secrets. Takes the role OPERATOR, else FORBIDDEN.',
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
      'Makes an API key for a machine, and tells its secret this once. Takes the role OPERATOR, else FORBIDDEN. Refused with every problem of the input; then no key was made.',
  })
  createApiKey(
    @Arg('input', () => CreateApiKeyInput, { description: 'What the key is for, and what it may.' })
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
      'Ends an API key: for requests within five seconds, for streams within ten. Null where no key has the prefix; a key that was revoked before is answered as it is. Takes the role OPERATOR, else FORBIDDEN.',
  })
  revokeApiKey(
    @Arg('prefix', () => String, { description: 'ApiKey.prefix: 12 characters.' }) prefix: string,
    @Ctx() context: RequestContext,
  ): Promise<ApiKeyType | null> {
    return audited(context, 'revokeApiKey', async () => {
      const apiKey = await this.useCases.revoke(prefix, context.source);
      return { answer: apiKey && presentApiKey(apiKey) };
    });
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
