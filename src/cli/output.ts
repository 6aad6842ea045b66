import { styleText } from 'node:util';
import { WarrenError } from '../model/error.ts';
import type { Globals } from './command.ts';

/** Wrong use of the command line itself: exit status 2. */
export class UsageError extends Error {}

/** A result: as JSON, or as `people` prints it. */
export function show<Result>(args: Globals, result: Result, people: (result: Result) => string): void {
  process.stdout.write(`${args.json ? JSON.stringify(result) : people(result)}\n`);
}

/** Says what went wrong, why and what to do next; answers with the exit status. */
export function fail(error: unknown, json: boolean): number {
  const known = asWarrenError(error);
  if (json) process.stdout.write(`${JSON.stringify({ error: known.toJSON(), exit: known.exit })}\n`);
  else {
    const prefix = process.stderr.isTTY ? styleText('red', 'error:') : 'error:';
    process.stderr.write(`${prefix} ${known.message}${known.hint ? `; ${known.hint}` : ''}\n`);
  }
  return known.exit;
}

function asWarrenError(error: unknown): WarrenError {
  if (error instanceof WarrenError) return error;
  if (error instanceof UsageError) return new WarrenError('invalid_input', error.message, 'see: warren --help');
  const message = error instanceof Error ? error.message : String(error);
  // yargs reports what is missing or unknown as a YError.
  return new WarrenError((error as Error)?.name === 'YError' ? 'invalid_input' : 'internal', message);
}
