import { readFileSync } from 'node:fs';
import { checkServerIdentity as checkAddress, type PeerCertificate } from 'node:tls';
import { WarrenError } from '../model/error.ts';
import type { Tls } from '../store/connection.ts';
import { openStore } from '../store/redis.ts';
import type { Store } from '../store/store.ts';
import type { Config } from './config.ts';

/** The store this host was told of. */
export function openStoreOf(config: Config): Store {
  return openStore(config.store, config.cluster, { tls: tlsReader(config), host: config.node.name });
}

/**
 * Reads the files at every connection, as certificates are renewed. A store of the cluster's own is on a manager: a worker has
 * a certificate of the same CA, and must not be taken for the store, whatever addresses are in it.
 */
export function tlsReader({ storeTls, storeUsers }: Pick<Config, 'storeTls' | 'storeUsers'>): (() => Tls) | undefined {
  if (!storeTls) return undefined;
  const files = Object.entries(storeTls).flatMap(([what, path]) => (path === undefined ? [] : [[what, path] as const]));
  const checkServerIdentity: Tls['checkServerIdentity'] = (host, certificate) =>
    checkAddress(host, certificate) ?? refuseWorker(certificate);
  return () => ({
    ...Object.fromEntries(files.map(([what, path]) => [what, read(path)])),
    ...(storeUsers && { checkServerIdentity }),
  });
}

export function refuseWorker({ subject }: PeerCertificate): Error | undefined {
  return subject.O === 'manager' ? undefined : new Error('it is no manager of the cluster');
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
