import { type Backup, backup, parseBackup, type RestoreResult, restore } from '../control/backup.ts';
import type { Store } from '../store/store.ts';
import type { Paths } from './config.ts';
import { requireConfig } from './config.ts';
import { openStoreOf } from './store-tls.ts';

/** Without an agent: what is to be saved, or brought back, is the store's. */
export function backupCluster(paths: Paths): Promise<Backup> {
  return withStore(paths, backup);
}

export async function restoreCluster(paths: Paths, text: string, replace: boolean): Promise<RestoreResult> {
  const saved = parseBackup(text);
  return withStore(paths, (store) => restore(store, saved, replace));
}

async function withStore<Result>(paths: Paths, work: (store: Store) => Promise<Result>): Promise<Result> {
  const store = openStoreOf(requireConfig(paths.config));
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}
