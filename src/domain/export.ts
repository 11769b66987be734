/**
 * Exports: what a client may ask for as a file. An export has a subject (the statement of an account, a bulk transfer or
 * an order) and a kind, which decides the format. The path of an export and its input in GraphQL are the same request.
 */
import { normaliseIban } from './iban.js';
import { canonicalId } from './id.js';
import type { ExportKind } from './kinds.js';
import { type Problem, quote, requiredProblem } from './problem.js';
import { isDay, isTimeZone } from './time-zone.js';

/** The days of a statement, both inclusive, in a time zone. Days are YYYY-MM-DD. */
export interface StatementDays {
  readonly from: string;
  readonly to: string;
  /** A name of IANA. */
  readonly timeZone: string;
}

export type ExportSubject =
  | ({ readonly type: 'statement'; readonly iban: string } & StatementDays)
  | { readonly type: 'bulk-transfer'; readonly id: string }
  | { readonly type: 'order'; readonly id: string };

/** A file that a client asks for. */
export interface ExportRequest {
  readonly kind: ExportKind;
  readonly subject: ExportSubject;
}

/** What a client sends for an export. Exactly one of the first three fields names the subject. */
export interface ExportInput {
  readonly accountIban?: string | null | undefined;
  readonly bulkTransferId?: string | null | undefined;
  readonly orderId?: string | null | undefined;
  readonly kind: ExportKind;
  readonly from?: string | null | undefined;
  readonly to?: string | null | undefined;
  readonly timeZone?: string | null | undefined;
}

type SubjectType = ExportSubject['type'];

export type ExportFormat = 'xml' | 'csv' | 'html';

interface Form {
  readonly format: ExportFormat;
  readonly isOfStatement: boolean;
}

const FORMS: Readonly<Record<ExportKind, Form>> = {
  STATEMENT_CAMT_053: { format: 'xml', isOfStatement: true },
  STATEMENT_CSV: { format: 'csv', isOfStatement: true },
  STATUS_PAIN_002: { format: 'xml', isOfStatement: false },
  TRANSFERS_CSV: { format: 'csv', isOfStatement: false },
  RECEIPT_HTML: { format: 'html', isOfStatement: false },
};

const MEDIA_TYPES: Readonly<Record<ExportFormat, string>> = {
  xml: 'application/xml; charset=utf-8',
  csv: 'text/csv; charset=utf-8',
  html: 'text/html; charset=utf-8',
};

/** The folder of each subject in the path of its files. */
export const EXPORT_FOLDERS: Readonly<Record<SubjectType, string>> = {
  statement: 'statements',
  'bulk-transfer': 'bulk-transfers',
  order: 'orders',
};

const UTC = 'UTC';

/** The field that names each subject. */
const SUBJECT_FIELDS = {
  statement: 'accountIban',
  'bulk-transfer': 'bulkTransferId',
  order: 'orderId',
} as const satisfies Readonly<Record<SubjectType, keyof ExportInput>>;

/** Returns the kind of a file by its folder and its extension; undefined if there is none. */
export function exportKindOf(subject: SubjectType, format: string): ExportKind | undefined {
  const isOfStatement = subject === 'statement';
  const kinds = Object.entries(FORMS) as [ExportKind, Form][];
  return kinds.find(
    ([, form]) => form.format === format && form.isOfStatement === isOfStatement,
  )?.[0];
}

/** Returns the media type of an export. */
export function mediaTypeOf(kind: ExportKind): string {
  return MEDIA_TYPES[FORMS[kind].format];
}

/** Reads what a client sent. An id that is no UUID is read as an id that does not exist. */
export function readExportInput(
  input: ExportInput,
): { readonly request: ExportRequest } | { readonly problems: readonly Problem[] } {
  const types = (Object.keys(SUBJECT_FIELDS) as SubjectType[]).filter(
    (type) => input[SUBJECT_FIELDS[type]] != null,
  );
  const [type] = types;
  if (type === undefined) return { problems: [requiredProblem('accountIban')] };
  const problems = [...subjectProblems(input, types), ...dayProblems(input)];
  if (problems.length > 0) return { problems };
  return { request: { kind: input.kind, subject: subjectOf(input, type) } };
}

function subjectOf(input: ExportInput, type: SubjectType): ExportSubject {
  const name = input[SUBJECT_FIELDS[type]] ?? '';
  if (type !== 'statement') return { type, id: canonicalId(name) ?? '' };
  const { from, to, timeZone } = input;
  return {
    type,
    iban: normaliseIban(name),
    from: from ?? '',
    to: to ?? '',
    timeZone: timeZone ?? UTC,
  };
}

function subjectProblems({ kind }: ExportInput, types: readonly SubjectType[]): Problem[] {
  const [type] = types;
  if (type !== undefined && types.length > 1) {
    const message = 'An export has one subject: accountIban, bulkTransferId or orderId.';
    return [{ field: SUBJECT_FIELDS[types[1] ?? type], code: 'TOO_MANY', message }];
  }
  if (FORMS[kind].isOfStatement === (type === 'statement')) return [];
  const message = FORMS[kind].isOfStatement
    ? `${kind} is a file of an account: give accountIban.`
    : `${kind} is a file of a bulk transfer or an order: give bulkTransferId or orderId.`;
  return [{ field: 'kind', code: 'MISMATCH', message }];
}

function dayProblems({ kind, from, to, timeZone }: ExportInput): Problem[] {
  const given = { from, to, timeZone };
  if (!FORMS[kind].isOfStatement) {
    const message = 'Only a statement has days and a time zone.';
    return Object.entries(given).flatMap(([field, value]) =>
      value == null ? [] : [{ field, code: 'MISMATCH' as const, message }],
    );
  }
  const problems = [...dayProblem('from', from), ...dayProblem('to', to)];
  if (timeZone != null && !isTimeZone(timeZone)) {
    const message = `${quote(timeZone)} is not a time zone of IANA, such as Europe/Berlin.`;
    problems.push({ field: 'timeZone', code: 'INVALID_TIME_ZONE', message });
  }
  if (problems.length === 0 && (from ?? '') > (to ?? '')) {
    const message = `from (${from}) is after to (${to}).`;
    problems.push({ field: 'from', code: 'INVALID_DATE', message });
  }
  return problems;
}

function dayProblem(field: string, day: string | null | undefined): Problem[] {
  if (day == null) return [requiredProblem(field)];
  if (isDay(day)) return [];
  return [{ field, code: 'INVALID_DATE', message: `${quote(day)} is not a day: YYYY-MM-DD.` }];
}

/** Returns the path of an export on the server, with its query. Equal requests have equal paths. */
export function exportPath({ kind, subject }: ExportRequest): string {
  const { format } = FORMS[kind];
  const folder = `/exports/${EXPORT_FOLDERS[subject.type]}`;
  if (subject.type !== 'statement') return `${folder}/${subject.id}.${format}`;
  const { iban, from, to, timeZone } = subject;
  const zone = encodeURIComponent(timeZone).replaceAll('%2F', '/');
  return `${folder}/${encodeURIComponent(iban)}.${format}?from=${from}&to=${to}&timeZone=${zone}`;
}

/** Returns the name under which a browser stores an export. It has letters, digits, points and hyphens only. */
export function exportFileName({ kind, subject }: ExportRequest): string {
  const { format } = FORMS[kind];
  const safe = (text: string) => text.replace(/[^A-Za-z0-9-]/g, '');
  if (subject.type !== 'statement') return `${subject.type}-${safe(subject.id)}.${format}`;
  return `statement-${safe(subject.iban)}-${safe(subject.from)}-${safe(subject.to)}.${format}`;
}
