import { Args, Ctx, FieldResolver, Query, Resolver, Root } from 'type-graphql';
import { ORGANIZATIONS_LISTED_MAX } from '../domain/caller.js';
import { canonicalId } from '../domain/id.js';
import { AccountConnection, type AccountType } from '../schema/account.js';
import { MeType, OrganizationType } from '../schema/organization.js';
import { type Connection, PageArgs } from '../schema/page.js';
import type { RequestContext } from './context.js';
import { accountsOf } from './cursor-scopes.js';
import { make, presentAccount, presentOrganization, presentPage } from './present.js';
import { readPageRange } from './read-page-range.js';

@Resolver(() => MeType)
export class MeResolver {
  @Query(() => MeType, { description: 'The caller: its name, roles and organizations.' })
  me(@Ctx() { source }: RequestContext): MeType {
    const { name, roles } = source.caller;
    return make(MeType, { actor: name, roles: [...roles] });
  }

  @FieldResolver(() => [OrganizationType], {
    description:
      'The organizations that the caller belongs to and sees, the first 100. A caller of all organizations gets the oldest.',
  })
  async organizations(@Ctx() { source, reader }: RequestContext): Promise<OrganizationType[]> {
    const { organizationIds } = source.caller;
    if (organizationIds === 'all') {
      return (await reader.organizations(ORGANIZATIONS_LISTED_MAX)).map(presentOrganization);
    }
    const ids = organizationIds.flatMap((id) => canonicalId(id) ?? []);
    const known = await reader.organizationsById(ids.slice(0, ORGANIZATIONS_LISTED_MAX));
    return known.flatMap((organization) => (organization ? presentOrganization(organization) : []));
  }
}

@Resolver(() => OrganizationType)
export class OrganizationResolver {
  @FieldResolver(() => AccountConnection, {
    description: 'The accounts of the organization, oldest first.',
  })
  async accounts(
    @Root() { id }: OrganizationType,
    @Args(() => PageArgs) page: PageArgs,
    @Ctx() { reader }: RequestContext,
  ): Promise<Connection<AccountType>> {
    const scope = accountsOf(id);
    const accounts = await reader.accounts(await readPageRange(page, scope, reader), id);
    return presentPage(accounts, scope, presentAccount);
  }
}
