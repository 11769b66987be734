import { defineEntity, p } from '@mikro-orm/core';
import { UuidColumn } from './column-types.js';

/** A company or bank that has accounts and API keys. Its name never changes. */
export class Organization {
  readonly id!: string;
  readonly name!: string;
  readonly createdAt!: Date;

  static of(facts: Organization): Organization {
    return Object.assign(new Organization(), facts);
  }
}

export const OrganizationSchema = defineEntity({
  class: Organization,
  tableName: 'organization',
  properties: {
    id: p.type(UuidColumn).primary(),
    name: p.string().length(140),
    createdAt: p.datetime().length(3),
  },
});
