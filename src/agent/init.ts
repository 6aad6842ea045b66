import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { isIPv6 } from 'node:net';
import { hostname } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { refuseEvicting } from '../control/memory.ts';
import { openKernel } from '../kernel/native.ts';
import type { EncapSetting } from '../keys/encap.ts';
import type { IdentityKey } from '../keys/identity.ts';
import { WarrenError } from '../model/error.ts';
import type { NodeId } from '../model/id.ts';
import { newId } from '../model/id.ts';
import type { Cidr, Ip } from '../model/ip.ts';
import { familyOf, parseIp } from '../model/ip.ts';
import type { Cluster, Node } from '../model/node.ts';
import { invalid, parseName } from '../model/parse.ts';
import type { KeyPair } from '../pki/pem.ts';
import { newTokenId, tokenOf } from '../pki/token.ts';
import { openStore } from '../store/redis.ts';
import type { Store } from '../store/store.ts';
import type { Config, Paths, Settings } from './config.ts';
import { readConfig, readSettings, writeConfig } from './config.ts';
import { gatherFacts } from './facts.ts';
import { claimIdentity } from './identity.ts';
import { startManagedStore, stopManagedStore } from './managed-store.ts';
import { makePki, pkiPaths, readCa, removePki, tlsOf } from './pki-files.ts';
import type { Place } from './place.ts';
import { candidates, followed, placeNow, resolvePlace } from './place.ts';
import { tlsReader } from './store-tls.ts';

/** Each by flag or WARREN_*; what is not given there is taken from the configuration file. */
export type InitOptions = Partial<
  Pick<Settings, 'cluster' | 'store' | 'storeTls' | 'advertise' | 'local' | 'dataPort' | 'name' | 'encap'>
>;
export type InitResult = {
  node: { id: string; name: string; index: number; address: string };
  cluster: { id: string; name: string; created: boolean };
  changed: boolean;
  store: string;
  /** The workers' join token, where this host made the cluster. */
  token?: string;
};

export const defaultDataPort = 4789;

/**
 * Makes the cluster, or adds this host to one the store has already. The config is written last, so that a failure
 * leaves nothing here; what the store has by then is what the next try finds.
 */
export async function initHost(given: InitOptions, paths: Paths): Promise<InitResult> {
  const before = readConfig(paths.config);
  const settings = readSettings(paths.config) ?? {};
  const options: InitOptions = { ...settings, ...given };
  const name = parseName(options.name ?? before?.node.name ?? hostname().split('.')[0] ?? 'node', 'node name');
  const cluster = parseName(options.cluster ?? before?.cluster ?? 'default', 'cluster name');
  const dataPort = options.dataPort ?? defaultDataPort;
  if (!Number.isInteger(dataPort) || dataPort < 1 || dataPort > 65534)
    throw invalid(`--data-port ${options.dataPort} is not a port from 1 to 65534`);
  if (before) unchanged(before, { ...options, cluster, name }, paths.config);
  const place = await placeOf(options, before);
  if (place.local !== place.underlay) refuseBehindNat(options, before);
  const id = before?.node.id ?? newId<'node'>();
  const managed = options.store === undefined && before === undefined;
  const pki = pkiPaths(paths.stateDir);
  // A member has one, and one that it has lost is not replaced here: the others would not know why.
  const identity = before ? undefined : claimIdentity(paths.stateDir);
  try {
    if (managed && identity)
      await makePki(pki, cluster, { node: id, identity: identity.key, addresses: addressesOf(place) });
    const url = options.store ?? before?.store ?? (await startManagedStore(paths, place.underlay));
    return await registerHost({
      ...{ settings, before, id, identity: identity?.key, name, place, url, cluster, paths, managed },
      interface: before ? before.interface : managed ? undefined : followed(options, place),
      ...{ dataPort: options.dataPort, encap: options.encap, role: before?.role ?? 'manager' },
      storeUsers: before?.storeUsers ?? managed,
      storeTls: managed ? tlsOf(pki) : (before?.storeTls ?? options.storeTls),
    });
  } catch (error) {
    if (managed) await stopManagedStore(paths, true);
    if (managed) removePki(pki);
    identity?.undo();
    throw error;
  }
}

export type Registration = {
  settings: Settings;
  before?: Config | undefined;
  paths: Paths;
  id: NodeId;
  /** Of a host that becomes a member now. */
  identity: IdentityKey | undefined;
  name: string;
  role: Config['role'];
  place: Place;
  interface: string | undefined;
  cluster: string;
  dataPort?: number | undefined;
  encap?: EncapSetting | undefined;
  url: string;
  storeTls: Config['storeTls'];
  storeUsers: boolean;
  managed: boolean;
  /** A manager has let it in: a cluster that is not there must not be made. */
  invited?: boolean;
};

/** The store hears of this host; the configuration is written last. */
export async function registerHost(wish: Registration): Promise<InitResult> {
  const { settings, before, paths, place, url, cluster, managed, name } = wish;
  const { underlay } = place;
  const kernel = openKernel();
  const store = openStore(url, cluster, { tls: tlsReader(wish), host: name });
  try {
    await refuseEvicting(store);
    const { facts } = await gatherFacts(kernel, place);
    const family = familyOf(underlay);
    const fresh = { name: cluster, ula: newUla(), dataPort: wish.dataPort ?? defaultDataPort, underlayFamily: family };
    const made = before || wish.invited ? await knownCluster(store, cluster) : await store.clusterInit(fresh);
    agrees(made.cluster, underlay, wish.dataPort);
    const pki = pkiPaths(paths.stateDir);
    if (made.created && !managed && wish.identity)
      await makePki(pki, cluster, { node: wish.id, identity: wish.identity, addresses: addressesOf(place) });
    const node = await store.nodeRegister({
      id: wish.id,
      name,
      role: wish.role,
      ...(before && (await encryptionOf(store, before.node.id))),
      ...facts,
      joinedAt: new Date().toISOString(),
    });
    // The node and the cluster have these from now on.
    const { name: _, dataPort: __, local: ___, storeTls: ____, ...kept } = settings;
    const config: Config = {
      ...kept,
      ...(wish.encap && { encap: wish.encap }),
      cluster,
      store: url,
      ...(wish.storeTls && { storeTls: wish.storeTls }),
      node: { id: node.id, name },
      role: wish.role,
      advertise: underlay,
      ...(place.local !== underlay && { local: place.local }),
      ...(wish.interface && { interface: wish.interface }),
      managedStore: before?.managedStore ?? managed,
      storeUsers: wish.storeUsers,
    };
    if (!isDeepStrictEqual(config, before)) writeConfig(paths.config, config);
    const ca = readCa(pki);
    return {
      node: { id: node.id, name, index: node.index, address: underlay },
      cluster: { id: made.cluster.id, name: cluster, created: made.created },
      changed: !before,
      store: store.url,
      ...(ca && made.created && { token: await workerToken(store, ca) }),
    };
  } finally {
    await store.close();
    await kernel.close();
  }
}

const addressesOf = ({ underlay, local }: Place): string[] => [...new Set([underlay, local])];

async function workerToken(store: Store, ca: KeyPair): Promise<string> {
  return tokenOf('worker', await store.tokenIssue({ id: newTokenId(), role: 'worker' }), ca);
}

async function placeOf({ advertise, local, store }: InitOptions, before: Config | undefined): Promise<Place> {
  if (before) return placeNow(before); // what was said is the same
  if (advertise !== undefined) return resolvePlace({ advertise, local });
  if (local !== undefined)
    throw invalid(
      '--local is for a host behind a NAT; say with --advertise by which address of it the others reach this one',
    );
  const underlay = await towards(store);
  return { underlay, local: underlay };
}

/** What is reached through a NAT on one port can neither be the others' store nor send ESP without UDP. */
function refuseBehindNat({ store, encap }: InitOptions, before: Config | undefined): void {
  if (!(store ?? before?.store))
    throw new WarrenError('behind_nat', 'a host behind a NAT cannot run the store', 'name one with --store');
  refuseBareEsp(encap);
}

export function refuseBareEsp(encap: EncapSetting | undefined): void {
  if (encap === 'esp')
    throw new WarrenError(
      'behind_nat',
      'a host behind a NAT cannot send ESP by itself',
      'leave --encap out: it uses UDP with all others',
    );
}

/** A host that is in a cluster never makes another of that name: the agents make theirs again from what they remember. */
async function knownCluster(store: Store, name: string): Promise<{ cluster: Cluster; created: boolean }> {
  const cluster = await store.cluster();
  if (cluster) return { cluster, created: false };
  throw new WarrenError(
    'store_lost_writes',
    `the store at ${store.url} has forgotten cluster "${name}", which this host is in`,
    'start warren agent: it makes the cluster again from what it remembers; or start over: warren leave --force',
  );
}

/** What the agent has told of itself, which may be running now. */
async function encryptionOf(store: Store, id: NodeId): Promise<Pick<Node, 'identity' | 'encryption'>> {
  const delta = await store.registrySince(undefined);
  const known = delta.kind === 'snapshot' ? delta.snapshot.nodes.find((node) => node.id === id) : undefined;
  return {
    ...(known?.identity && { identity: known.identity }),
    ...(known?.encryption && { encryption: known.encryption }),
  };
}

/** Again with the same values is no change; with others it is a conflict, as endpoints may depend on the old ones. */
function unchanged(before: Config, options: InitOptions, path: string): void {
  const advertise = options.advertise ?? before.advertise;
  const place = () => resolvePlace({ advertise, local: options.local ?? before.local });
  const known = [before.interface, before.advertise, before.local];
  const another = (said: string | undefined) => said !== undefined && !known.includes(said);
  const wished: readonly (readonly [string, string | undefined, string])[] = [
    ['cluster', options.cluster, before.cluster],
    ['store', options.store, before.store],
    ['name', options.name, before.node.name],
    ['advertise', another(options.advertise) ? place().underlay : undefined, before.advertise],
    ['local', another(options.local) ? place().local : undefined, before.local ?? before.advertise],
  ];
  const differing = wished.filter(([, wish, was]) => wish !== undefined && wish !== was).map(([field]) => field);
  if (differing.length === 0) return;
  throw new WarrenError(
    'already_initialized',
    `this host is in cluster "${before.cluster}" as "${before.node.name}" (${path}), with another ${differing.join(', ')}`,
    'leave first: warren leave --force',
  );
}

/** Throws where a host at this address cannot be in that cluster. */
export function agrees(
  cluster: { dataPort: number; underlayFamily: 4 | 6; name: string },
  underlay: Ip,
  dataPort: number | undefined,
): void {
  if (dataPort !== undefined && cluster.dataPort !== dataPort) {
    throw new WarrenError(
      'already_initialized',
      `cluster "${cluster.name}" uses data port ${cluster.dataPort}, not ${dataPort}`,
      'leave --data-port out',
    );
  }
  if (cluster.underlayFamily !== familyOf(underlay)) {
    throw new WarrenError(
      'no_advertise_address',
      `cluster "${cluster.name}" runs over IPv${cluster.underlayFamily}, and ${underlay} is not of that family`,
      `use --advertise with one of: ${candidates(cluster.underlayFamily).join(', ') || 'none found'}`,
    );
  }
}

/** The address this host would send from to the store: what the others most likely reach it by. */
async function towards(url: string | undefined): Promise<Ip> {
  const all = candidates();
  const found = url === undefined ? undefined : await localAddress(new URL(url).hostname.replace(/^\[|\]$/g, ''));
  if (found && all.includes(found)) return found;
  if (url === undefined && all.length === 1 && all[0]) return all[0];
  throw new WarrenError(
    'no_advertise_address',
    'which address the other hosts reach this one by is not clear',
    `name it with --advertise; found: ${all.join(', ') || 'none'}`,
  );
}

/** Connecting a UDP socket sends nothing; it only asks the routing table. */
async function localAddress(target: string): Promise<Ip | undefined> {
  const socket = createSocket(isIPv6(target) ? 'udp6' : 'udp4');
  try {
    socket.connect(9, target);
    await once(socket, 'connect');
    return parseIp(socket.address().address);
  } catch {
    return undefined;
  } finally {
    socket.close();
  }
}

/** fd00::/8 with a random global id of 40 bits (RFC 4193 §3.2). */
function newUla(): Cidr {
  const id = randomBytes(5).toString('hex');
  const groups = [`fd${id.slice(0, 2)}`, id.slice(2, 6), id.slice(6)].map((group) => group.replace(/^0+(?=.)/, ''));
  return `${groups.join(':')}::/48` as Cidr;
}
