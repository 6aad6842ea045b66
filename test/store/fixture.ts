import assert from 'node:assert/strict';
import { after, before } from 'node:test';
import type { Endpoint } from '../../src/model/endpoint.ts';
import { endpointMac } from '../../src/model/endpoint.ts';
import type { ErrorCode } from '../../src/model/error.ts';
import { WarrenError } from '../../src/model/error.ts';
import { newId } from '../../src/model/id.ts';
import type { Cidr, Ip } from '../../src/model/ip.ts';
import type { Network } from '../../src/model/network.ts';
import type { Service } from '../../src/model/service.ts';
import type { StoreOptions } from '../../src/store/redis.ts';
import { openStore } from '../../src/store/redis.ts';
import type { EndpointWish, NetworkWish, NodeWish, Store } from '../../src/store/store.ts';
import type { RedisServer } from '../support/redis.ts';
import { startRedis } from '../support/redis.ts';

export const cidr = (text: string) => text as Cidr;
export const ip = (text: string) => text as Ip;
export const ula = cidr('fd12:3456:789a::/48');
export const clusterWish = { name: 'test', ula, dataPort: 4789, underlayFamily: 4 } as const;

/** One server for a test file; each test has a cluster of its own. */
export function withRedis() {
  let server: RedisServer;
  let count = 0;
  const stores: Store[] = [];
  before(async () => {
    server = await startRedis();
  });
  after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await server?.stop();
  });
  return {
    get server() {
      return server;
    },
    open(cluster: string, options?: StoreOptions): Store {
      const store = openStore(server.url, cluster, options);
      stores.push(store);
      return store;
    },
    /** A store with a cluster made in it. */
    async cluster(options?: StoreOptions): Promise<{ store: Store; name: string }> {
      const name = `c${++count}`;
      const store = this.open(name, options);
      await store.clusterInit({ ...clusterWish, name });
      return { store, name };
    },
  };
}

export function nodeWish(name: string, more: Partial<NodeWish> = {}): NodeWish {
  return {
    id: newId<'node'>(),
    name,
    role: 'manager',
    underlay: ip('192.0.2.1'),
    underlayMtu: 1500,
    routes: [],
    version: '0.1.0',
    joinedAt: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}

export function networkWish(name: string, more: Partial<NetworkWish> = {}): NetworkWish {
  return {
    id: newId<'network'>(),
    name,
    subnets: [],
    ipRanges: [],
    reserved: [],
    mtu: 'auto',
    encrypted: true,
    internal: false,
    labels: {},
    allowOverlap: false,
    createdAt: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}

const someNode = newId<'node'>();
let inode = 1000;

export function endpointWish(network: Network, name: string, more: Partial<EndpointWish> = {}): EndpointWish {
  const id = newId<'endpoint'>();
  return {
    id,
    network: network.id,
    node: someNode,
    name,
    addresses: [],
    mac: endpointMac(id),
    netns: `/run/netns/${name}`,
    born: { boot: 'b0', dev: 4, inode: inode++ },
    ifname: 'eth0',
    defaultRoute: true,
    backend: null,
    labels: {},
    createdAt: '2026-01-01T00:00:00.000Z',
    epoch: 1,
    ...more,
  };
}

export function serviceWish(net: Network, name: string, more: Partial<Service> = {}): Service {
  return {
    id: newId<'service'>(),
    network: net.id,
    name,
    vips: [],
    ports: [{ port: 80, target: 8080, proto: 'tcp' }],
    scheduler: 'rr',
    affinity: 0,
    health: { check: 'none', interval: 2000, timeout: 1000, retries: 2, startPeriod: 0 },
    publish: [],
    publishMode: 'ingress',
    publishFrom: [],
    labels: {},
    createdAt: '2026-01-01T00:00:00.000Z',
    ...more,
  };
}

export const attach = (
  store: Store,
  network: Network,
  name: string,
  more: Partial<EndpointWish> = {},
): Promise<Endpoint> => store.endpointAttach(network, endpointWish(network, name, more));

/** Asserts that it fails with this code, and returns the error. */
export async function fails(promise: Promise<unknown>, code: ErrorCode, message?: RegExp): Promise<WarrenError> {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof WarrenError, `not a WarrenError: ${String((error as Error).stack)}`);
    assert.equal(error.code, code, error.message);
    if (message) assert.match(error.message, message);
    return error;
  }
  assert.fail(`expected ${code}, but it succeeded`);
}
