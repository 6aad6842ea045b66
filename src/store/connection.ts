import type { ConnectionOptions } from 'node:tls';
import type { Cluster, RedisOptions } from 'ioredis';
import { Redis } from 'ioredis';
import type { Place } from './error.ts';
import { isFinal, storeError } from './error.ts';
import type { Reply, Script } from './lua.ts';
import { runScript } from './lua.ts';
import type { Target } from './url.ts';

export type Client = Redis | Cluster;
/** PEM, for `rediss:`: whom to believe, and who we are. Without `ca` the system's CAs count. */
export type Tls = Pick<ConnectionOptions, 'checkServerIdentity'> & { ca?: string; cert?: string; key?: string };

/** How long a call waits for a store that has just gone away, and for an answer. */
const patienceMs = 3000;

/**
 * A connection that comes back for ever. Calls wait out a short gap and are sent again after a lost connection
 * (every script is harmless when run twice); while the store stays away they fail at once.
 */
export class Connection {
  readonly place: Place;
  readonly #target: Target;
  /** Asked at every connection: certificates are renewed. */
  readonly #tls: () => Tls;
  readonly #listeners = new Set<(connected: boolean) => void>();
  readonly #waiting = new Set<() => void>();
  #client: Client | undefined;
  #subscriber: Client | undefined;
  #connected = false;
  #closed = false;
  #lastError: unknown;
  /** Since when nothing has worked; undefined before the first attempt and while connected. */
  #downSince: number | undefined;

  constructor(target: Target, tls: () => Tls = () => ({})) {
    this.#target = target;
    this.#tls = tls;
    this.place = { url: target.url, secrets: target.secrets };
  }

  get connected(): boolean {
    return this.#connected;
  }

  onConnection(listener: (connected: boolean) => void): void {
    this.#listeners.add(listener);
    this.#open();
  }

  script(script: Script, keys: readonly string[], args: readonly (string | number)[]): Promise<Reply> {
    return this.use((client) => runScript(client, script, keys, args));
  }

  /** Runs one command; connection failures are retried until the patience is over, then told as a WarrenError. */
  async use<T>(command: (client: Client) => Promise<T>): Promise<T> {
    const deadline = performance.now() + patienceMs;
    for (;;) {
      const client = await this.#ready(deadline);
      try {
        return await command(client);
      } catch (error) {
        // A command that timed out has used up the patience, though its timer may run a little fast.
        const tired = performance.now() >= deadline - 100;
        if (isFinal(error) || this.#closed || tired) throw storeError(this.place, error);
        // A server that is loading answers at once, with an error; do not ask it in a tight loop.
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  /** Messages of one channel, on a connection of its own. `again`: messages may have been missed. */
  subscribe(channel: string, listener: (message: string) => void, again: () => void): void {
    // Silence is normal here; whether the host is alive, the other connection finds out.
    const subscriber = this.#make({ silent: true });
    this.#subscriber = subscriber;
    subscriber.on('message', (_channel: string, message: string) => listener(message));
    subscriber.on('error', () => {});
    // Not autoResubscribe alone: after each (re)connect somebody must look for what was missed meanwhile.
    subscriber.on('ready', () => {
      subscriber.subscribe(channel).then(again, () => {});
    });
    subscriber.on('end', () => {
      if (!this.#closed) setTimeout(() => !this.#closed && this.subscribe(channel, listener, again), 1000).unref();
    });
    subscriber.connect().catch(() => {});
  }

  /** Anew: this host has another address, and what is open would hear nothing. */
  reconnect(): void {
    this.#client?.disconnect(true);
    this.#subscriber?.disconnect(true);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#client?.disconnect();
    this.#subscriber?.disconnect();
    for (const wake of this.#waiting) wake();
  }

  async #ready(deadline: number): Promise<Client> {
    for (;;) {
      const client = this.#open();
      if (client.status === 'ready') return client;
      // A refused login will be refused again: say so instead of waiting.
      if (this.#lastError !== undefined && isFinal(this.#lastError)) throw storeError(this.place, this.#lastError);
      const limit = Math.min(deadline, (this.#downSince ?? Number.POSITIVE_INFINITY) + patienceMs);
      const left = limit - performance.now();
      if (this.#closed || left <= 0) throw storeError(this.place, this.#lastError ?? new Error('no answer'));
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          this.#waiting.delete(done);
          resolve();
        };
        const timer = setTimeout(done, left);
        this.#waiting.add(done);
      });
    }
  }

  #open(): Client {
    if (this.#client || this.#closed) return this.#client ?? this.#make();
    const client = this.#make();
    this.#client = client;
    client.on('ready', () => {
      this.#lastError = undefined;
      this.#downSince = undefined;
      this.#tell(true);
    });
    client.on('error', (error: unknown) => {
      this.#lastError = error;
      // Wakes those who wait: an error that is final ends their waiting.
      this.#wake();
    });
    client.on('close', () => {
      this.#downSince ??= performance.now();
      // When a host has died, the subscriber would not notice for minutes.
      if (this.#connected) this.#subscriber?.disconnect(true);
      this.#tell(false);
    });
    // ioredis gives up in some failovers (status `end`) and never comes back by itself.
    client.on('end', () => {
      if (this.#client !== client) return;
      this.#client = undefined;
      if (!this.#closed) setTimeout(() => this.#open(), 1000).unref();
    });
    client.connect().catch(() => {});
    return client;
  }

  #tell(connected: boolean): void {
    const before = this.#connected;
    this.#connected = connected;
    this.#wake();
    if (before !== connected) for (const listener of this.#listeners) listener(connected);
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #make({ silent = false } = {}): Client {
    const { kind, hosts, path, name, tls, username, password, db } = this.#target;
    const options = {
      lazyConnect: true,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      autoResubscribe: false,
      maxRetriesPerRequest: 0,
      connectTimeout: patienceMs,
      commandTimeout: patienceMs,
      // A host that lost power sends no FIN: whoever waits longer than this has a dead connection.
      ...(silent ? {} : { socketTimeout: patienceMs + 1000 }),
      keepAlive: 5000,
      retryStrategy: (times: number) => Math.min(20 * 2 ** times, 1000),
      connectionName: 'warren',
      disableClientInfo: true,
      db,
      ...(username ? { username } : {}),
      ...(password ? { password } : {}),
      ...(tls ? { tls: this.#tls() } : {}),
    } satisfies RedisOptions;
    if (kind === 'cluster') {
      return new Redis.Cluster([...hosts], {
        lazyConnect: true,
        enableOfflineQueue: false,
        clusterRetryStrategy: (times: number) => Math.min(20 * 2 ** times, 1000),
        redisOptions: options,
      });
    }
    if (kind === 'sentinel') {
      return new Redis({
        ...options,
        sentinels: [...hosts],
        name: name ?? '',
        ...(tls ? { enableTLSForSentinelMode: true } : {}),
        // A primary that was demoted answers READONLY until we ask the Sentinels again.
        reconnectOnError: (error) => error.message.startsWith('READONLY'),
      });
    }
    return path ? new Redis({ ...options, path }) : new Redis({ ...options, ...hosts[0] });
  }
}
