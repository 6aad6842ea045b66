import { dnsOf } from '../model/dns.ts';
import type { Endpoint } from '../model/endpoint.ts';
import { gatewayOf } from '../model/ip.ts';
import type { Network } from '../model/network.ts';
import type { Node, NodeStatus } from '../model/node.ts';
import type { View } from '../model/view.ts';
import { mtuOf } from '../plan/mtu.ts';
import type { Lease } from '../store/store.ts';

/** What `--json` shows of each noun; the field names are the contract. */

export type NetworkJson = ReturnType<typeof networkJson>;
export function networkJson(view: View, network: Network, endpoints: number) {
  const { id, name, vni, subnets, vipPools, encrypted, internal, labels, ipRanges, reserved, createdAt } = network;
  const gateway = subnets.map(gatewayOf);
  const mtu = mtuOf(view, network);
  return {
    id,
    name,
    vni,
    subnets,
    vipPools,
    gateway,
    mtu,
    encrypted,
    internal,
    labels,
    endpoints,
    ipRanges,
    reserved,
    createdAt,
  };
}

export type EndpointJson = ReturnType<typeof endpointJson>;
export function endpointJson(view: View, endpoint: Endpoint) {
  const { id, name, netns, ifname, addresses, mac, state, backend, labels, createdAt } = endpoint;
  const network = view.networks.get(endpoint.network);
  const node = view.nodes.get(endpoint.node);
  return {
    id,
    name,
    network: network?.name ?? endpoint.network,
    node: node?.name ?? endpoint.node,
    netns,
    ifname,
    addresses,
    mac,
    mtu: network ? mtuOf(view, network) : null,
    service: backend
      ? (view.followed.get(endpoint.network)?.services.get(backend.service)?.name ?? backend.service)
      : null,
    state,
    vtep: node?.underlay ?? null,
    dns: network ? dnsOf(network) : { nameservers: [], search: [] },
    labels,
    createdAt,
  };
}

export type EncryptionJson = {
  cipher: string | null;
  encap: string | null;
  generation: number | null;
  rekeyedAt: string | null;
  fingerprint: string | null;
  /** Why that identity is believed: the CA says so, or it was the first one seen. */
  trust: 'certified' | 'pinned' | null;
};
const unencrypted: EncryptionJson = {
  cipher: null,
  encap: null,
  generation: null,
  rekeyedAt: null,
  fingerprint: null,
  trust: null,
};

export type NodeJson = ReturnType<typeof nodeJson>;
/** A lapsed lease alone is `stale`: nothing is cut off because of it. `unreachable`: the asked node finds it dead as well. */
export function nodeJson(
  view: View,
  node: Node,
  lease: Lease | undefined,
  { unreachable = false, encryption = unencrypted }: { unreachable?: boolean; encryption?: EncryptionJson } = {},
) {
  const { id, name, role, underlay, underlayMtu, index, epoch, version, joinedAt } = node;
  const status: NodeStatus = lease?.alive ? (node.drained ? 'drained' : 'up') : unreachable ? 'down' : 'stale';
  const peers = view.nodes.size - 1;
  return {
    id,
    name,
    role,
    address: underlay,
    local: node.local ?? null,
    status,
    encryption,
    peers,
    version,
    lastSeen: lease?.lastSeen ?? null,
    index,
    epoch,
    underlayMtu,
    joinedAt,
  };
}
