import { WarrenError } from '../model/error.ts';
import { newId } from '../model/id.ts';
import type { Cidr } from '../model/ip.ts';
import { familyOf, gatewayOf } from '../model/ip.ts';
import type { Network } from '../model/network.ts';
import type { NetworkInput } from '../model/parse.ts';
import { checkSubnets, holds, invalid, parseLabels, parseNetwork, parseSubnets } from '../model/parse.ts';
import type { View } from '../model/view.ts';
import { capacityOf } from '../plan/mtu.ts';
import type { NetworkPatch, Store } from '../store/store.ts';
import { findNetwork } from './find.ts';

/** Prefixes the members already reach otherwise; no network may take them. */
function avoided(view: View): Cidr[] {
  return [...new Set([...view.nodes.values()].flatMap((node) => node.routes))];
}

/** Writes the wish; no kernel is touched until the network's first endpoint arrives on a node. */
export async function createNetwork(store: Store, view: View, input: unknown): Promise<Network> {
  const wish = parseNetwork(input);
  const existing = [...view.networks.values()].find(({ name }) => name === wish.name);
  if (existing && wish.ifNotExists) return same(existing, wish);
  checkMtu(view, wish);
  const { ifNotExists: _, ...rest } = wish;
  return store.networkCreate({ ...rest, id: newId(), createdAt: new Date().toISOString() }, avoided(view));
}

/** `--if-not-exists` forgives only a network that is as wished. */
function same(network: Network, wish: NetworkInput): Network {
  const differs =
    (wish.subnets.length > 0 && `${wish.subnets}` !== `${network.subnets}` && 'subnets') ||
    (wish.encrypted !== network.encrypted && 'encryption') ||
    (wish.internal !== network.internal && 'internal') ||
    (wish.mtu !== network.mtu && 'mtu') ||
    (wish.ipRanges.length > 0 && `${wish.ipRanges}` !== `${network.ipRanges}` && 'ip ranges');
  if (!differs) return network;
  throw new WarrenError(
    'name_taken',
    `network "${network.name}" exists with other parameters (${differs})`,
    `see: warren network inspect ${network.name}`,
  );
}

function checkMtu(view: View, wish: NetworkInput): void {
  if (wish.mtu === 'auto') return;
  for (const node of view.nodes.values()) {
    const capacity = capacityOf(node, wish.encrypted);
    if (wish.mtu > capacity) {
      throw invalid(
        `network "${wish.name}": --mtu ${wish.mtu} is more than node "${node.name}" can carry (${capacity})`,
        'use --mtu auto',
      );
    }
  }
}

/** Labels are replaced as given; a subnet may only grow, so that no endpoint falls out of it. */
export async function updateNetwork(
  store: Store,
  view: View,
  input: { network: string; labels?: unknown; subnets?: unknown },
): Promise<Network> {
  const network = findNetwork(view, input.network);
  const patch: NetworkPatch = {};
  if (input.labels !== undefined) patch.labels = { ...network.labels, ...parseLabels(input.labels) };
  if (input.subnets !== undefined) {
    const grown = parseSubnets(input.subnets);
    checkSubnets(network.name, grown);
    for (const subnet of grown) {
      const old = network.subnets.find((cidr) => familyOf(cidr) === familyOf(subnet));
      if (!old) throw invalid(`network "${network.name}" has no IPv${familyOf(subnet)} subnet to grow`);
      if (!holds(subnet, old))
        throw invalid(
          `network "${network.name}": ${subnet} does not contain its subnet ${old}`,
          'a subnet can only grow',
        );
      if (gatewayOf(subnet) !== gatewayOf(old)) {
        throw invalid(
          `network "${network.name}": growing ${old} to ${subnet} would move its gateway`,
          'grow it upwards, keeping its first address',
        );
      }
    }
    patch.subnets = network.subnets.map((old) => grown.find((cidr) => familyOf(cidr) === familyOf(old)) ?? old);
  }
  return store.networkUpdate(network.id, patch, avoided(view));
}
