import { DomainError } from '../../domain/errors.js';
import type { Problem, ProblemCode } from '../../domain/problem.js';

/** Returns the problem of a whole file. The message names the line, because problems of requests have no line. */
export function fileProblem(code: ProblemCode, message: string, line?: number): Problem {
  return {
    field: 'content',
    code,
    message: line === undefined ? message : `Line ${line}: ${message}`,
  };
}

/** Returns the error of a file that is refused whole. */
export function refusedFile(problems: readonly Problem[]): DomainError {
  return new DomainError({ code: 'INVALID_INPUT', problems });
}

/** Returns the error of a file that cannot be read as its format. */
export function unreadableFile(message: string, line?: number): DomainError {
  return refusedFile([fileProblem('UNREADABLE_FILE', message, line)]);
}
