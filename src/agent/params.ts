import { WarrenError } from '../model/error.ts';

/** What came with a request. */
export type Params = Record<string, unknown>;

export function text(params: Params, field: string): string {
  const value = params[field];
  if (typeof value === 'string' && value !== '') return value;
  throw new WarrenError('invalid_input', `"${field}" is missing`);
}

/** Something to remove that is not there: fine with `ifExists`, not found otherwise. */
export async function unlessAbsent<T>(params: Params, found: () => T | Promise<T>): Promise<T | undefined> {
  try {
    return await found();
  } catch (error) {
    if (params.ifExists === true && error instanceof WarrenError && error.exit === 3) return undefined;
    throw error;
  }
}
