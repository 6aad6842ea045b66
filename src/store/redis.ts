import type { NetworkId, NodeId } from '../model/id.ts';
import * as announcements from './announcements.ts';
import * as audit from './audit.ts';
import { Connection, type Tls } from './connection.ts';
import * as endpoints from './endpoints.ts';
import { clusterErase } from './erase.ts';
import { announcedMessage, isScope } from './keys.ts';
import * as limits from './limits.ts';
import { memory } from './memory.ts';
import * as networks from './networks.ts';
import * as nodes from './nodes.ts';
import * as repair from './repair.ts';
import * as restore from './restore.ts';
import * as services from './services.ts';
import { Session } from './session.ts';
import * as since from './since.ts';
import type { Store, Written } from './store.ts';
import * as tokens from './tokens.ts';
import { parseStoreUrl } from './url.ts';
import * as users from './users.ts';

/** Something that keeps its text out of logs. */
export type SecretLike = { reveal(): string };
export type StoreOptions = {
  /** How long a freed address rests before it is given out again. */
  cooldownMs?: number;
  /** What this host is called in the audit; its hostname without it. */
  host?: string;
  /** For `rediss:`. */
  tls?: (() => Tls) | undefined;
};

/** Connects at the first call, and for ever again. The URL's forms are in url.ts. */
export function openStore(url: string | SecretLike, cluster: string, options: StoreOptions = {}): Store {
  const connection = new Connection(parseStoreUrl(typeof url === 'string' ? url : url.reveal()), options.tls);
  const session = new Session(connection, cluster, options);
  return Object.assign(new Link(session), bound(session, verbs));
}

/** A table of contents: each verb is in the file of its noun, and takes a session first. */
const verbs = {
  clusterInit: nodes.clusterInit,
  cluster: nodes.cluster,
  registryUpgrade: nodes.registryUpgrade,
  clusterLimit: limits.clusterLimit,
  clusterErase,
  count: limits.count,
  memory,
  nodeRegister: nodes.nodeRegister,
  nodeRemove: nodes.nodeRemove,
  nodeStart: nodes.nodeStart,
  nodeDrain: nodes.nodeDrain,
  nodeRefresh: nodes.nodeRefresh,
  nodeRenew: nodes.nodeRenew,
  leases: nodes.leases,
  tokenIssue: tokens.tokenIssue,
  tokenTake: tokens.tokenTake,
  userGrant: users.userGrant,
  userRevoke: users.userRevoke,
  usersRegrant: users.usersRegrant,
  tlsReload: users.tlsReload,
  announcementsTo: announcements.announcementsTo,
  announcementsBy: announcements.announcementsBy,
  announce: announcements.announce,
  networkCreate: networks.networkCreate,
  networkUpdate: networks.networkUpdate,
  networkRemove: networks.networkRemove,
  networkJoin: networks.networkJoin,
  networkLeave: networks.networkLeave,
  networkPublish: networks.networkPublish,
  usage: networks.usage,
  endpointAttach: endpoints.endpointAttach,
  endpointReady: endpoints.endpointReady,
  endpointDetach: endpoints.endpointDetach,
  endpoints: endpoints.endpoints,
  endpointServe: endpoints.endpointServe,
  endpointCount: endpoints.endpointCount,
  serviceCreate: services.serviceCreate,
  serviceUpdate: services.serviceUpdate,
  serviceRemove: services.serviceRemove,
  services: services.services,
  registryRestore: restore.registryRestore,
  networkRestore: restore.networkRestore,
  networkCheck: repair.networkCheck,
  membersCheck: repair.membersCheck,
  audit: audit.audit,
  registrySince: since.registrySince,
  networkSince: since.networkSince,
} satisfies Verbs;

type Verbs = {
  [V in keyof Store]?: Store[V] extends (...args: infer A) => infer R ? (session: Session, ...args: A) => R : never;
};

function bound<V extends Verbs>(session: Session, verbs: V): Pick<Store, keyof V & keyof Store> {
  type Verb = (session: Session, ...args: unknown[]) => unknown;
  const method = ([name, verb]: [string, unknown]) => [name, (verb as Verb).bind(undefined, session)];
  return Object.fromEntries(Object.entries(verbs).map(method));
}

/** What is not a verb: the connection, and what is heard on it. */
class Link implements Omit<Store, keyof typeof verbs> {
  readonly url: string;
  readonly #session: Session;
  readonly #connection: Connection;
  #lagMs: number | undefined;
  #wake: Set<(message: string) => void> | undefined;
  readonly #again = new Set<(connected: boolean) => void>();

  constructor(session: Session) {
    this.#session = session;
    this.#connection = session.connection;
    this.url = this.#connection.place.url;
  }

  get connected(): boolean {
    return this.#connection.connected;
  }

  get lagMs(): number | undefined {
    return this.#lagMs;
  }

  onConnection(listener: (connected: boolean) => void): void {
    this.#again.add(listener);
    this.#connection.onConnection(listener);
  }

  onWake(listener: (scope: '' | NetworkId, entry?: string) => void): void {
    this.#listen((message) => {
      const [scope = '', entry] = message.split(' ');
      if (isScope(scope)) listener(scope, entry);
    });
  }

  onWritten(listener: (written: Written) => void): void {
    this.#session.onWritten.add(listener);
  }

  onAnnounced(node: NodeId, listener: () => void): void {
    const mine = announcedMessage(node);
    this.#listen((message) => message === mine && listener());
    this.onConnection((connected) => connected && listener());
  }

  #listen(listener: (message: string) => void): void {
    if (this.#wake) {
      this.#wake.add(listener);
      return;
    }
    const listeners = new Set([listener]);
    this.#wake = listeners;
    this.#connection.subscribe(
      this.#session.channel,
      (message) => {
        for (const each of listeners) each(message);
      },
      // Wake-ups may have been missed, of every kind: the same duty as after a reconnect.
      () => {
        for (const each of this.#again) each(this.connected);
      },
    );
  }

  async ping(): Promise<void> {
    const begin = performance.now();
    await this.#connection.use((client) => client.ping());
    this.#lagMs = performance.now() - begin;
  }

  reconnect() {
    this.#connection.reconnect();
  }

  close(): Promise<void> {
    return this.#connection.close();
  }
}
