import { hostname } from 'node:os';
import { WarrenError } from '../model/error.ts';
import type { NetworkId } from '../model/id.ts';
import type { Cluster } from '../model/node.ts';
import { asker } from './asker.ts';
import type { Connection } from './connection.ts';
import { guardError } from './error.ts';
import type { NetworkKeys, RegistryKeys } from './keys.ts';
import { networkKeys, registryKeys, schema, wakeChannel } from './keys.ts';
import type { Reply, Script } from './lua.ts';
import type { Written } from './store.ts';

type Args = readonly (string | number)[];

/** One cluster in one store: what every script call has in common. */
export class Session {
  readonly connection: Connection;
  readonly name: string;
  readonly registry: RegistryKeys;
  readonly channel: string;
  /**
   * The registry's incarnation as first seen. Scripts compare it: whoever knew a store that has been emptied and made
   * again must not write into the new one as if nothing had happened.
   */
  #root: string | undefined;
  readonly onWritten = new Set<(written: Written) => void>();

  /** How long a freed address rests before it is given out again. */
  readonly cooldownMs: number;
  readonly #host: string;

  constructor(
    connection: Connection,
    name: string,
    { host = hostname(), cooldownMs = 30_000 }: { host?: string; cooldownMs?: number } = {},
  ) {
    this.connection = connection;
    this.name = name;
    this.#host = host;
    this.cooldownMs = cooldownMs;
    this.registry = registryKeys(name);
    this.channel = wakeChannel(name);
  }

  network(id: NetworkId): NetworkKeys {
    return networkKeys(this.name, id);
  }

  /** The first one stays; only clusterInit names another. */
  remember(cluster: Pick<Cluster, 'incarnation'>, again = false): void {
    if (again) this.#root = cluster.incarnation;
    else this.#root ??= cluster.incarnation;
  }

  async root(): Promise<string> {
    if (this.#root !== undefined) return this.#root;
    const found = await this.connection.use((client) => client.hget(this.registry.meta, 'incarnation'));
    if (found === null) this.refuse('absent');
    this.#root ??= found;
    return this.#root;
  }

  /** A script that only reads. */
  async read(script: Script, keys: readonly string[], args: Args = []): Promise<Reply> {
    return this.#checked(await this.connection.script(script, keys, [this.#schema(keys), ...args]));
  }

  /** A script that reads and compares the registry's incarnation, but changes no document. */
  async guarded(script: Script, keys: readonly string[], args: Args = []): Promise<Reply> {
    return this.#checked(await this.connection.script(script, keys, [this.#schema(keys), this.#root ?? '', ...args]));
  }

  /** A script that changes the scope's documents: it raises the revision and wakes the others. */
  async change(script: Script, scope: '' | NetworkId, keys: readonly string[], args: Args): Promise<Reply> {
    return this.guarded(script, keys, [this.channel, this.origin(script, scope), ...args]);
  }

  /** `SCOPE VERB WHO`, as it is kept with a change. */
  origin(script: Script, scope: '' | NetworkId): string {
    return `${scope} ${script.replace(/-\d+$/, '')} ${asker()}@${this.#host}`;
  }

  written(written: Written): void {
    for (const listener of this.onWritten) listener(written);
  }

  /** What a registry script answered, where `absent` means that the store has no such cluster. */
  present(reply: Reply): Reply {
    if (reply[0] === 'absent') this.refuse(this.#root === undefined ? 'absent' : 'store_lost_writes');
    return reply;
  }

  #schema([meta]: readonly string[]): number {
    return meta === this.registry.meta ? schema.registry : schema.network;
  }

  #checked(reply: Reply): Reply {
    if (reply[0] === 'store_schema' || reply[0] === 'store_lost_writes') this.refuse(reply[0], reply[1]);
    return reply;
  }

  refuse(status: 'absent' | 'store_schema' | 'store_lost_writes', detail?: string): never {
    throw guardError(this.connection.place, status, detail);
  }
}

/** A script said what its caller does not know: a mistake of ours. */
export function unexpected(status: string): WarrenError {
  return new WarrenError('internal', `the store's script answered ${JSON.stringify(status)}`);
}
