import { fields, warning } from './table.ts';

/** What `status` and `sync` get from the agent, as far as they tell it apart. */
export type Status = Record<string, unknown> & { readonly warnings: readonly string[] };

/** Warnings last, a line each, where they are seen. */
export function statusText({ warnings, ...rest }: Status): string {
  return [fields(rest), ...warnings.map(warning)].join('\n');
}
