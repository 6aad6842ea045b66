import { readFileSync } from 'node:fs';
import { WarrenError } from '../model/error.ts';
import { openStore } from '../store/redis.ts';
import type { Store } from '../store/store.ts';
import type { Config } from './config.ts';

type Tls = { ca?: string; cert?: string; key?: string };

/** The store this host was told of. */
export function openStoreOf({ store, cluster, storeTls }: Config): Store {
  return openStore(store, cluster, { tls: tlsReader(storeTls) });
}

/** Reads the files at every connection, as certificates are renewed. */
export function tlsReader(files: Config['storeTls']): (() => Tls) | undefined {
  if (!files) return undefined;
  return () =>
    Object.fromEntries(
      Object.entries(files).flatMap(([what, path]) => (path === undefined ? [] : [[what, read(path)]])),
    );
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new WarrenError(
      'store_auth',
      `cannot read ${path}: ${(error as Error).message}`,
      'see storeTls in the configuration',
    );
  }
}
