import type { EndpointId, NetworkId, NodeId, ServiceId } from './id.ts';
import { idBytes } from './id.ts';
import type { Ip, Mac } from './ip.ts';

/** What an endpoint was attached to. The same path with another inode is another namespace. */
export type Born = { readonly boot: string; readonly dev: number; readonly inode: number };

/** What makes an endpoint one of a service's backends. */
export type Backend = {
  readonly service: ServiceId;
  /** IPVS weight, 1…65535. */
  readonly weight: number;
  /** What its node's last checks said; counts only where the service has a check. */
  readonly healthy: boolean;
  /** Milliseconds its connections have to end while it drains. */
  readonly grace?: number;
};

export type Endpoint = {
  readonly id: EndpointId;
  readonly network: NetworkId;
  readonly node: NodeId;
  readonly name: string;
  /** At most one per family, IPv4 first, no prefix length. */
  readonly addresses: readonly Ip[];
  readonly mac: Mac;
  /** Absolute path: /run/netns/NAME or /proc/PID/ns/net. */
  readonly netns: string;
  readonly born: Born;
  readonly ifname: string;
  readonly defaultRoute: boolean;
  /** null: of no service. */
  readonly backend: Backend | null;
  readonly labels: Readonly<Record<string, string>>;
  readonly state: 'starting' | 'ready' | 'draining';
  readonly createdAt: string;
};

/** `0a:` and the id's first 40 bits: locally administered, the same for ever, never random at link creation. */
export function endpointMac(id: EndpointId): Mac {
  return ['0a', ...idBytes(id, 5).map((b) => b.toString(16).padStart(2, '0'))].join(':') as Mac;
}
