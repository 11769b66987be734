/** The events of Virement: CloudEvents 1.0 in JSON. docs/events has their JSON Schemas. */

export interface Money {
  /** In major units, as a decimal string: `14.50`. */
  readonly amount: string;
  /** The same in minor units: `1450`. */
  readonly minorUnits: string;
  readonly currency: string;
}

interface AccountFields {
  readonly accountId: string;
  readonly accountIban: string;
  readonly accountBic: string;
  readonly organizationId: string;
  readonly organizationName: string;
  /**
   * The number of the ledger entry, which is the order of commit within the account. In events of an order, it is the
   * number of the change of its state, from 1.
   */
  readonly sequence: string;
}

export interface BulkTransferPerformed extends AccountFields {
  readonly bulkTransferId: string;
  readonly idempotencyKey: string | null;
  readonly transferCount: number;
  readonly total: Money;
  readonly balanceAfter: Money;
}

export interface TransferPerformed extends AccountFields {
  readonly transferId: string;
  readonly bulkTransferId: string;
  /** The position in the bulk, from 0. */
  readonly index: number;
  readonly money: Money;
  readonly counterpartyName: string;
  readonly counterpartyIban: string;
  readonly counterpartyBic: string | null;
  readonly description: string;
  readonly endToEndId: string | null;
}

export interface AccountCredited extends AccountFields {
  readonly ledgerEntryId: string;
  /** The bulk that sent the money; null for money from outside. */
  readonly bulkTransferId: string | null;
  readonly kind: 'INCOMING_TRANSFER' | 'BOOK_TRANSFER';
  readonly money: Money;
  readonly balanceAfter: Money;
  readonly description: string;
}

export interface TransferReceived extends AccountFields {
  readonly incomingTransferId: string;
  readonly money: Money;
  readonly payerName: string;
  readonly payerIban: string;
  readonly description: string;
  readonly endToEndId: string | null;
}

export interface OrderChanged extends AccountFields {
  readonly orderId: string;
  /** The state before; null for a new order. A newer server may have other states as well. */
  readonly previousStatus: string | null;
  readonly status: string;
  readonly rowCount: number;
  /** Null if an amount cannot be read. */
  readonly total: Money | null;
  readonly performedBulks: number;
  /** The code of the reason why the order failed; null if it did not. */
  readonly failureCode: string | null;
}

interface EventData {
  readonly 'virement.bulk-transfer.performed.v1': BulkTransferPerformed;
  readonly 'virement.transfer.performed.v1': TransferPerformed;
  readonly 'virement.account.credited.v1': AccountCredited;
  readonly 'virement.transfer.received.v1': TransferReceived;
  readonly 'virement.order.changed.v1': OrderChanged;
}

export type EventType = keyof EventData;

interface CloudEvent<Type extends EventType> {
  readonly specversion: '1.0';
  /** The same for each repetition of the event. */
  readonly id: string;
  readonly source: string;
  readonly type: Type;
  /** The IBAN of the account. */
  readonly subject: string;
  readonly time: string;
  readonly datacontenttype: 'application/json';
  readonly traceparent?: string;
  readonly data: EventData[Type];
}

/** An event, by its type. A newer server may publish other types as well. */
export type VirementEvent = { readonly [Type in EventType]: CloudEvent<Type> }[EventType];

/** A message that is no CloudEvent. Another attempt would find the same. */
export class MalformedEventError extends Error {
  override readonly name = 'MalformedEventError';
}

/**
 * Reads the event in the body of a message. Only the fields that the consumer itself relies on are checked.
 * @throws MalformedEventError
 */
export function parseEvent(content: Buffer): VirementEvent {
  const event = parseJson(content);
  if (!isEvent(event)) throw new MalformedEventError('The message is no event of Virement');
  return event;
}

function isEvent(value: unknown): value is VirementEvent {
  if (typeof value !== 'object' || value === null) return false;
  const { id, type, subject }: { id?: unknown; type?: unknown; subject?: unknown } = value;
  return [id, type, subject].every((field) => typeof field === 'string' && field !== '');
}

function parseJson(content: Buffer): unknown {
  try {
    return JSON.parse(content.toString());
  } catch {
    throw new MalformedEventError('The message is no JSON');
  }
}

/** Returns the part of the routing key that stands for a type: `transfer.performed`. */
export function routingKindOf(type: EventType): string {
  return type.replace(/^virement\./, '').replace(/\.v\d+$/, '');
}
