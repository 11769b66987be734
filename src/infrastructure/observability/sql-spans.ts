/** Makes a span of each SQL statement of a request that is traced. */
import { DefaultLogger, type LogContext, type LoggerOptions } from '@mikro-orm/core';
import { isTraced, SpanKind, startSpan } from './tracing.js';

/** The largest number of characters of a statement that a span keeps. */
const STATEMENT_CHARACTERS_MAX = 1_000;

/** Matches text and binary literals. Statements have parameters for what clients send, but ids stand in some of them. */
const LITERAL = /x?'(?:[^']|'')*'/gi;

/** Gets each statement from MikroORM after it has ended. */
class SqlSpanLogger extends DefaultLogger {
  constructor(
    options: LoggerOptions,
    private readonly system: string,
  ) {
    super(options);
  }

  override logQuery(statement: LogContext & { query: string }): void {
    if (isTraced()) makeSpan(statement, this.system);
    super.logQuery(statement);
  }
}

function makeSpan(
  { query, took = 0, level }: LogContext & { query: string },
  system: string,
): void {
  const operation = query.trimStart().split(/\s/, 1)[0]?.toUpperCase() ?? '';
  const endMs = Date.now();
  const span = startSpan(operation, {
    kind: SpanKind.CLIENT,
    startTime: endMs - took,
    attributes: {
      'db.system.name': system,
      'db.operation.name': operation,
      'db.query.text': query.replace(LITERAL, '?').slice(0, STATEMENT_CHARACTERS_MAX),
    },
  });
  if (level === 'error') span.setAttribute('error.type', 'database');
  span.end(endMs);
}

/** Returns the option of MikroORM that makes the spans. @param system the database as semantic conventions name it */
export function sqlSpans(system: string) {
  return { loggerFactory: (options: LoggerOptions) => new SqlSpanLogger(options, system) };
}
