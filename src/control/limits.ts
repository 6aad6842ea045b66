import * as z from 'zod';
import type { Cluster, Limited } from '../model/node.ts';
import { limited } from '../model/node.ts';
import { parse } from '../model/parse.ts';
import { quotaExceeded } from '../store/limits.ts';
import type { LimitsPatch, Store } from '../store/store.ts';

export type ClusterJson = Omit<Cluster, 'limits' | 'incarnation'> & {
  store: string;
  count: Record<Limited, number> & { nodes: number };
  /** null: any number. */
  limits: Record<Limited, number | null>;
};

/**
 * Makes one more, where the cluster's limit lets it. Counted before and after, as no script sees all networks: of several hosts
 * that make the last one at the same time none stays beyond the limit, and it may be that none stays at all.
 */
export async function within<Made>(
  store: Store,
  { limits }: Pick<Cluster, 'limits'>,
  what: Exclude<Limited, 'networks'>,
  make: () => Promise<Made>,
  undo: (made: Made) => Promise<unknown>,
): Promise<Made> {
  const most = limits?.[what];
  if (most === undefined) return make();
  const countNow = async () => (await store.count())[what];
  if ((await countNow()) >= most) throw quotaExceeded(what, most);
  const made = await make();
  if ((await countNow()) <= most) return made;
  await undo(made);
  throw quotaExceeded(what, most);
}

export function parseLimits(input: unknown): LimitsPatch {
  return parse(limitsWish, input, 'cluster set') as LimitsPatch;
}

export async function clusterJson(store: Store, cluster: Cluster, nodes: number): Promise<ClusterJson> {
  const { limits = {}, incarnation: _, ...rest } = cluster;
  const all = Object.fromEntries(limited.map((what) => [what, limits[what] ?? null]));
  return {
    ...rest,
    store: store.url,
    count: { nodes, ...(await store.count()) },
    limits: all as ClusterJson['limits'],
  };
}

const most = z.int().min(0).max(1_000_000_000).nullable().optional();
const limitsWish = z.strictObject({ networks: most, endpoints: most, services: most });
