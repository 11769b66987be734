/** The changes that a company makes to its webhooks. */
import { randomBytes } from 'node:crypto';
import type { Caller, RequestSource } from '../domain/caller.js';
import type { DomainError } from '../domain/errors.js';
import { normaliseIban } from '../domain/iban.js';
import { canonicalId, type NewId } from '../domain/id.js';
import type { LedgerEventKind } from '../domain/kinds.js';
import { rejected } from '../domain/mutations.js';
import { type Problem, quote, requiredProblem } from '../domain/problem.js';
import { DESCRIPTION, textProblems } from '../domain/text.js';
import {
  REDELIVERED_MAX,
  WEBHOOK_ACCOUNTS_MAX,
  WEBHOOKS_PER_ORGANIZATION_MAX,
} from '../domain/webhook.js';
import { Webhook } from '../entities/webhook.entity.js';
import type { Clock } from './ports/clock.js';
import type { LedgerReader } from './ports/ledger-reader.js';
import type { WebhookChange, WebhookStore } from './ports/webhook-store.js';

/** 256 random bits, as for API keys. */
const SECRET_BYTES = 32;

export interface RegisterWebhookRequest {
  readonly url: string;
  readonly events: readonly LedgerEventKind[];
  /** Undefined for all accounts of the organization. */
  readonly accountIbans: readonly string[] | undefined;
  readonly organizationId: string | undefined;
  readonly description: string | undefined;
  readonly ordered: boolean;
}

/** The fields to change. An undefined field keeps its value, and a field that is null loses it. */
export interface UpdateWebhookRequest {
  readonly id: string;
  readonly url: string | undefined;
  readonly events: readonly LedgerEventKind[] | undefined;
  readonly accountIbans: readonly string[] | null | undefined;
  readonly description: string | null | undefined;
}

/** A webhook whose secret is shown, once. */
export interface WebhookWithSecret {
  readonly webhook: Webhook;
  readonly secret: string;
}

/**
 * The changes that a company makes to its webhooks. A webhook of another organization is answered like one that does
 * not exist.
 */
export interface ManageWebhooks {
  /** @throws DomainError INVALID_INPUT */
  register(request: RegisterWebhookRequest, source: RequestSource): Promise<WebhookWithSecret>;
  /** @throws DomainError INVALID_INPUT or WEBHOOK_NOT_FOUND */
  update(request: UpdateWebhookRequest, source: RequestSource): Promise<Webhook>;
  /** @throws DomainError WEBHOOK_NOT_FOUND */
  rotateSecret(id: string, source: RequestSource): Promise<WebhookWithSecret>;
  /** @throws DomainError WEBHOOK_NOT_FOUND */
  enable(id: string, source: RequestSource): Promise<Webhook>;
  /** @throws DomainError WEBHOOK_NOT_FOUND */
  disable(id: string, source: RequestSource): Promise<Webhook>;
  /** @throws DomainError WEBHOOK_NOT_FOUND */
  delete(id: string, source: RequestSource): Promise<Webhook>;
  /** Sends an event that means nothing. @throws DomainError INVALID_INPUT or WEBHOOK_NOT_FOUND */
  sendTestEvent(id: string, source: RequestSource): Promise<Webhook>;
  /** Sends the event of a delivery again, with the same id. @throws DomainError WEBHOOK_NOT_FOUND */
  redeliver(deliveryId: string, source: RequestSource): Promise<Webhook>;
  /** Sends the events of all deliveries since a moment again. @throws DomainError INVALID_INPUT or WEBHOOK_NOT_FOUND */
  redeliverSince(id: string, since: Date, source: RequestSource): Promise<Webhook>;
}

export interface WebhookPorts {
  readonly webhooks: WebhookStore;
  /** The reader that sees all accounts. */
  readonly reader: LedgerReader;
  readonly clock: Clock;
  readonly newId: NewId;
  /** Returns the problems of the URL of a webhook; none if the server may call it. */
  readonly urlProblems: (url: string) => readonly Problem[];
  /** Called after a webhook may have events that have no delivery yet. */
  readonly onEvents: () => void;
  /** Called after deliveries were made due. */
  readonly onDue: () => void;
}

export function makeManageWebhooks(ports: WebhookPorts): ManageWebhooks {
  const { webhooks, clock, onEvents, onDue } = ports;
  /** Changes a webhook of the caller's organizations. */
  const change = async (text: string, request: WebhookChange): Promise<Webhook> => {
    const id = canonicalId(text);
    const { organizationIds } = request.source.caller;
    const webhook = id === undefined ? null : await webhooks.change(id, organizationIds, request);
    if (!webhook) throw notFound();
    return webhook;
  };
  /** Changes which events a webhook gets. */
  const changeEvents = async (text: string, request: WebhookChange): Promise<Webhook> => {
    const webhook = await change(text, request);
    onEvents();
    return webhook;
  };
  return {
    register: (request, source) => register(ports, request, source),
    update: async (request, source) => {
      const { accountIds, apply } = await prepareUpdate(ports, request, source);
      return changeEvents(request.id, { action: 'updateWebhook', source, apply, accountIds });
    },
    rotateSecret: async (id, source) => {
      const secret = newSecret();
      const apply = (found: Webhook) => found.rotateSecret(secret, clock());
      const webhook = await change(id, { action: 'rotateWebhookSecret', source, apply });
      return { webhook, secret };
    },
    enable: (id, source) =>
      changeEvents(id, { action: 'enableWebhook', source, apply: (webhook) => webhook.enable() }),
    disable: (id, source) =>
      change(id, {
        action: 'disableWebhook',
        source,
        apply: (webhook) => webhook.disable('Disabled by a request.'),
      }),
    delete: (id, source) =>
      change(id, { action: 'deleteWebhook', source, apply: (webhook) => webhook.delete(clock()) }),
    sendTestEvent: async (id, source) => {
      const found = await requireWebhook(ports, id, source);
      if (found.status === 'DISABLED') throw disabledWebhook();
      const webhook = await webhooks.addTestEvent(found.id, source.caller.organizationIds, source);
      if (!webhook) throw notFound();
      onDue();
      return webhook;
    },
    redeliver: async (text, source) => {
      const id = canonicalId(text);
      const { organizationIds } = source.caller;
      const webhook = id && (await webhooks.redeliver(id, organizationIds, source));
      if (!webhook) throw notFound();
      onDue();
      return webhook;
    },
    redeliverSince: (id, since, source) => redeliverSince(ports, id, since, source),
  };
}

async function register(
  { webhooks, reader, clock, newId, urlProblems, onEvents }: WebhookPorts,
  request: RegisterWebhookRequest,
  source: RequestSource,
): Promise<WebhookWithSecret> {
  const listed = await readListedAccounts(request.accountIbans, reader);
  const organizationId = organizationOf(request, source.caller, listed.accounts);
  const problems = [
    ...choiceProblems(request, urlProblems),
    ...listed.problems,
    ...(await organizationProblems(organizationId, source.caller, reader)),
    ...foreignAccountProblems(listed, organizationId),
  ];
  if (organizationId === undefined || problems.length > 0) {
    throw rejected('registerWebhook', { code: 'INVALID_INPUT', problems });
  }
  const secret = newSecret();
  const webhook = Webhook.of({
    id: newId(),
    organizationId,
    slot: 1,
    url: request.url,
    events: [...new Set(request.events)],
    accountIbans: listed.ibans ?? null,
    description: request.description ?? null,
    ordered: request.ordered,
    secret,
    createdAt: clock(),
  });
  const accountIds = listed.ibans ? listed.accounts.map(({ id }) => id) : 'all';
  if (!(await webhooks.add(webhook, accountIds, source))) throw tooManyWebhooks();
  onEvents();
  return { webhook, secret };
}

async function prepareUpdate(
  { webhooks, reader, urlProblems }: WebhookPorts,
  { id: text, ...request }: UpdateWebhookRequest,
  source: RequestSource,
): Promise<Pick<WebhookChange, 'apply' | 'accountIds'>> {
  const found = await requireWebhook({ webhooks }, text, source);
  const listed = await readListedAccounts(request.accountIbans ?? undefined, reader);
  const problems = [
    ...choiceProblems(request, urlProblems),
    ...listed.problems,
    ...foreignAccountProblems(listed, found.organizationId),
  ];
  if (problems.length > 0) throw rejected('updateWebhook', { code: 'INVALID_INPUT', problems });
  const { url, events, accountIbans, description } = request;
  const isOfAll = accountIbans === null;
  return {
    apply: (webhook) => {
      if (url !== undefined) webhook.url = url;
      if (events !== undefined) webhook.events = [...new Set(events)];
      if (accountIbans !== undefined) webhook.accountIbans = listed.ibans ?? null;
      if (description !== undefined) webhook.description = description;
    },
    accountIds: isOfAll ? 'all' : listed.ibans && listed.accounts.map(({ id }) => id),
  };
}

async function redeliverSince(
  ports: WebhookPorts,
  text: string,
  since: Date,
  source: RequestSource,
): Promise<Webhook> {
  const { webhooks, onDue } = ports;
  const { id } = await requireWebhook(ports, text, source);
  const count = await webhooks.countDeliveriesSince(id, since, REDELIVERED_MAX + 1);
  if (count > REDELIVERED_MAX) {
    const message = `More than ${REDELIVERED_MAX} deliveries were made since then: choose a later time.`;
    const problems: Problem[] = [{ field: 'since', code: 'TOO_MANY', message }];
    throw rejected('redeliverSince', { code: 'INVALID_INPUT', problems });
  }
  const webhook = await webhooks.redeliverSince(id, since, source.caller.organizationIds, source);
  if (!webhook) throw notFound();
  onDue();
  return webhook;
}

/** @throws DomainError WEBHOOK_NOT_FOUND */
async function requireWebhook(
  { webhooks }: Pick<WebhookPorts, 'webhooks'>,
  text: string,
  { caller }: RequestSource,
): Promise<Webhook> {
  const id = canonicalId(text);
  const webhook = id === undefined ? null : await webhooks.byId(id, caller.organizationIds);
  if (!webhook) throw notFound();
  return webhook;
}

/** The accounts that a request lists. */
interface ListedAccounts {
  /** The IBANs in their normal form, each once; undefined if the request lists none. */
  readonly ibans: string[] | undefined;
  readonly accounts: readonly ListedAccount[];
  readonly problems: readonly Problem[];
}

interface ListedAccount {
  readonly id: string;
  readonly iban: string;
  readonly organizationId: string;
}

async function readListedAccounts(
  sent: readonly string[] | undefined,
  reader: LedgerReader,
): Promise<ListedAccounts> {
  if (sent === undefined) return { ibans: undefined, accounts: [], problems: [] };
  if (sent.length === 0 || sent.length > WEBHOOK_ACCOUNTS_MAX) {
    const message = `A webhook may list 1 to ${WEBHOOK_ACCOUNTS_MAX} accounts. Leave the list out for all accounts.`;
    const code = sent.length === 0 ? 'TOO_FEW' : 'TOO_MANY';
    return { ibans: [], accounts: [], problems: [{ field: 'accountIbans', code, message }] };
  }
  const ibans = [...new Set(sent.map(normaliseIban))];
  const found = await reader.accountFactsByIban(ibans);
  return { ibans, accounts: ibans.flatMap((iban) => found.get(iban) ?? []), problems: [] };
}

/** Returns a problem for each listed account that the organization does not have. */
function foreignAccountProblems(
  { ibans = [], accounts }: ListedAccounts,
  organizationId: string | undefined,
): Problem[] {
  if (organizationId === undefined) return [];
  const own = new Set(
    accounts.filter((account) => account.organizationId === organizationId).map(({ iban }) => iban),
  );
  return ibans.flatMap((iban, index) => {
    if (own.has(iban)) return [];
    const message = `${quote(iban)} is not the IBAN of an account of the organization.`;
    return [{ index, field: 'accountIbans', code: 'MISMATCH', message }];
  });
}

/**
 * Returns the organization that the request names, or the only one of the caller that it can mean. The organization of
 * another company's account is never returned, because a problem would show its id.
 */
function organizationOf(
  { organizationId }: RegisterWebhookRequest,
  caller: Caller,
  accounts: readonly ListedAccount[],
): string | undefined {
  if (organizationId !== undefined) return canonicalId(organizationId) ?? organizationId;
  const { organizationIds } = caller;
  if (organizationIds !== 'all' && organizationIds.length === 1) return organizationIds[0];
  return accounts.find((account) => isOwn(account.organizationId, caller))?.organizationId;
}

function isOwn(organizationId: string, { organizationIds }: Caller): boolean {
  return organizationIds === 'all' || organizationIds.includes(organizationId);
}

async function organizationProblems(
  organizationId: string | undefined,
  caller: Caller,
  reader: LedgerReader,
): Promise<Problem[]> {
  const field = 'organizationId';
  if (organizationId === undefined) return [requiredProblem(field)];
  const id = isOwn(organizationId, caller) ? canonicalId(organizationId) : undefined;
  const [organization] = id === undefined ? [] : await reader.organizationsById([id]);
  if (organization) return [];
  const message = `${quote(organizationId)} is not the id of an organization of the caller.`;
  return [{ field, code: 'MISMATCH', message }];
}

/** The fields that are judged without a look-up. An undefined field is not changed. */
interface Choices {
  readonly url: string | undefined;
  readonly events: readonly LedgerEventKind[] | undefined;
  readonly description: string | null | undefined;
}

/** Returns the problems of the fields that need no look-up. */
function choiceProblems(
  { url, events, description }: Choices,
  urlProblems: WebhookPorts['urlProblems'],
): Problem[] {
  const problems = url === undefined ? [] : [...urlProblems(url)];
  if (events?.length === 0) {
    const message = 'A webhook needs at least one kind of event.';
    problems.push({ field: 'events', code: 'TOO_FEW', message });
  }
  if (description != null) problems.push(...textProblems(description, 'description', DESCRIPTION));
  return problems;
}

function tooManyWebhooks(): DomainError {
  const message = `An organization may have ${WEBHOOKS_PER_ORGANIZATION_MAX} webhooks: delete one first.`;
  const problems: Problem[] = [{ field: 'organizationId', code: 'TOO_MANY', message }];
  return rejected('registerWebhook', { code: 'INVALID_INPUT', problems });
}

function disabledWebhook(): DomainError {
  const message = 'The webhook is disabled: enable it first.';
  const problems: Problem[] = [{ field: 'webhookId', code: 'MISMATCH', message }];
  return rejected('sendTestEvent', { code: 'INVALID_INPUT', problems });
}

/** Every mutation of an existing webhook may answer this rejection. */
function notFound(): DomainError {
  return rejected('updateWebhook', { code: 'WEBHOOK_NOT_FOUND' });
}

function newSecret(): string {
  return `whsec_${randomBytes(SECRET_BYTES).toString('base64')}`;
}
