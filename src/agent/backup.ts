import { type Backup, backup, parseBackup, type RestoreResult, restore } from '../control/backup.ts';
import type { Paths } from './config.ts';
import { requireConfig } from './config.ts';
import { openStoreOf } from './store-tls.ts';

/** Without an agent: what is to be saved, or brought back, is the store's. */
export async function backupCluster(paths: Paths): Promise<Backup> {
  const store = openStoreOf(requireConfig(paths.config));
  try {
    return await backup(store);
  } finally {
    await store.close();
  }
}

export async function restoreCluster(paths: Paths, text: string, replace: boolean): Promise<RestoreResult> {
  const saved = parseBackup(text);
  const store = openStoreOf(requireConfig(paths.config));
  try {
    return await restore(store, saved, replace);
  } finally {
    await store.close();
  }
}
