/** Makes the bodies of deliveries: CloudEvents, made from the ledger for each attempt, so they are always the same. */
import type { LedgerReader } from '../../application/ports/ledger-reader.js';
import type { LedgerEventKind } from '../../domain/kinds.js';
import type { Account } from '../../entities/account.entity.js';
import type { WebhookDelivery } from '../../entities/webhook-delivery.entity.js';
import { type CloudEvent, type EventRows, eventOf, testEvent } from '../outbox/events.js';

/** The columns of a delivery from which its body is made. */
export type DeliveryEvent = Pick<
  WebhookDelivery,
  'id' | 'webhookId' | 'accountId' | 'kind' | 'eventId' | 'createdAt'
>;

/** Returns the rows of events by id, in the order of the ids; null for a row that does not exist. */
type ReadRows<Kind extends LedgerEventKind> = (
  reader: LedgerReader,
  ids: readonly string[],
) => Promise<readonly (EventRows[Kind] | null)[]>;

/** The read of the rows of each kind of event. A kind without an entry does not compile. */
const READS: { readonly [Kind in LedgerEventKind]: ReadRows<Kind> } = {
  'bulk-transfer.performed': (reader, ids) => reader.bulkTransfersById(ids),
  'transfer.performed': (reader, ids) => reader.transfersById(ids),
  'account.credited': (reader, ids) => reader.entriesById(ids),
  'transfer.received': (reader, ids) => reader.incomingTransfersById(ids),
};

/** Returns the body of each delivery, by its id. A delivery whose row the ledger does not have has none. */
export async function readBodies(
  deliveries: readonly DeliveryEvent[],
  reader: LedgerReader,
): Promise<ReadonlyMap<string, string>> {
  const accountIds = [...new Set(deliveries.flatMap(({ accountId }) => accountId ?? []))];
  const accounts = new Map(
    (await reader.accountsById(accountIds)).flatMap((account) =>
      account ? [[account.id, account] as const] : [],
    ),
  );
  const bodies = new Map<string, string>();
  for (const [kind, ofKind] of Map.groupBy(deliveries, (delivery) => delivery.kind)) {
    const events =
      kind === null ? ofKind.map(testEvent) : await readEvents(kind, ofKind, accounts, reader);
    for (const [index, { id }] of ofKind.entries()) {
      const event = events[index];
      if (event) bodies.set(id, JSON.stringify(event));
    }
  }
  return bodies;
}

async function readEvents<Kind extends LedgerEventKind>(
  kind: Kind,
  deliveries: readonly DeliveryEvent[],
  accounts: ReadonlyMap<string, Account>,
  reader: LedgerReader,
): Promise<readonly (CloudEvent | undefined)[]> {
  const rows = await READS[kind](
    reader,
    deliveries.map(({ eventId }) => eventId),
  );
  return deliveries.map(({ accountId }, index) => {
    const row = rows[index];
    const account = accounts.get(accountId ?? '');
    return row && account ? eventOf(kind, row, account, null).event : undefined;
  });
}
