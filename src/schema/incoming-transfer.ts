import { Field, ObjectType } from 'type-graphql';
import { MoneyType } from './money.js';
import { NodeType } from './node.js';
import { connectionOf } from './page.js';
import { Cursor, DateTime, Iban, Int64 } from './scalars.js';

@ObjectType('IncomingTransfer', {
  implements: NodeType,
  description:
    "A transfer from another account of this server, as its payee sees it. It shows nothing of the payer's balance, bulk or other payees.",
  simpleResolvers: true,
})
export class IncomingTransferType extends NodeType {
  accountId!: string;

  @Field(() => MoneyType, { description: 'The amount that was credited.' })
  amount!: MoneyType;

  @Field(() => String, { description: "Name of the payer's organization." })
  payerName!: string;

  @Field(() => Iban, { description: 'IBAN of the account that was debited.' })
  payerIban!: string;

  @Field(() => String, { description: 'Text of the payer, unaltered.' })
  description!: string;

  @Field(() => String, {
    nullable: true,
    description: 'End-to-end id of the payer, unaltered; null if the payer gave none.',
  })
  endToEndId!: string | null;

  @Field(() => Int64, {
    description:
      'Number of the ledger entry that credited the transfer. Transfers of one bulk share an entry.',
  })
  sequence!: bigint;

  @Field(() => DateTime, { description: 'The time at which the transfer was credited.' })
  createdAt!: Date;
}

export const IncomingTransferConnection = connectionOf('IncomingTransfer', IncomingTransferType);

@ObjectType('TransferReceived', {
  description: 'A transfer from another account of this server was credited.',
  simpleResolvers: true,
})
export class TransferReceivedType {
  @Field(() => Cursor, { description: 'The position of this event: send it as after to resume.' })
  cursor!: string;

  @Field(() => IncomingTransferType)
  transfer!: IncomingTransferType;
}
