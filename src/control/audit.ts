import * as z from 'zod';
import { parse } from '../model/parse.ts';
import type { View } from '../model/view.ts';
import type { AuditEntry, Store } from '../store/store.ts';
import { findNetwork } from './find.ts';

const query = z.object({
  limit: z.number().int().min(1).max(10_000).default(100),
  since: z.iso.datetime().optional(),
  network: z.string().optional(),
});
export type AuditJson = Omit<AuditEntry, 'network'> & { network: string | null };

/** Who changed what, and when, oldest first: in the whole cluster, or in one network. */
export async function auditOf(store: Store, view: View, params: Record<string, unknown>): Promise<AuditJson[]> {
  const { network, ...rest } = parse(query, params, 'audit');
  const networks = network === undefined ? [...view.networks.keys()] : [findNetwork(view, network).id];
  const entries = await store.audit({ ...rest, networks, registry: network === undefined });
  return entries.map((entry) => ({
    ...entry,
    network: entry.network && (view.networks.get(entry.network)?.name ?? null),
  }));
}
