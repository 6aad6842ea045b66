import { randomBytes } from 'node:crypto';
import { WarrenError } from '../model/error.ts';
import type { NetworkId, NodeId, ServiceId } from '../model/id.ts';
import type { Cidr, Ip } from '../model/ip.ts';
import { familyOf, toHex } from '../model/ip.ts';
import type { Network, Published } from '../model/network.ts';
import { firstVni, vniCount } from '../model/network.ts';
import { members, parseDocument, sorted } from './document.ts';
import { capacityOf, checkSubnets, poolOf, prefixOf } from './ipam.ts';
import { quotaExceeded } from './limits.ts';
import { cluster } from './nodes.ts';
import type { Session } from './session.ts';
import { unexpected } from './session.ts';
import type { NetworkPatch, NetworkWish, Usage } from './store.ts';

/** Slots a script may choose a prefix from; see create-network. */
const pools = {
  /** 10.128.0.0/9 in /20s */
  subnet4: { kind: 's', cursor: 'subnet4', head: '', take: 8, unit: 4096, low: 0xa800, count: 2048, length: 20 },
  /** 10.64.0.0/11 in /22s */
  vip4: { kind: 'v', cursor: 'vip4', head: '', take: 8, unit: 1024, low: 0x29000, count: 2048, length: 22 },
  /** ULA:0001::/64 … ULA:7fff::/64 */
  subnet6: { kind: 's', cursor: 'subnet6', take: 4, unit: 1, low: 1, count: 0x7fff, length: 64 },
  /** ULA:8000::/112 … ULA:ffff::/112 */
  vip6: { kind: 'v', cursor: 'vip6', take: 4, unit: 1, low: 0x8000, count: 0x8000, length: 112 },
};

export async function networkCreate(session: Session, wish: NetworkWish, avoid: readonly Cidr[]): Promise<Network> {
  checkSubnets(wish.name, { ...wish, ...(wish.subnets.length === 0 ? { ipRanges: [], reserved: [] } : {}) });
  if (wish.subnets.length === 0 && wish.ipRanges.length + wish.reserved.length > 0) {
    throw new WarrenError('invalid_input', `network "${wish.name}": ip ranges and reserved addresses need a subnet`);
  }
  const home = await cluster(session);
  if (!home) session.refuse('absent');
  const head = toHex(home.ula.slice(0, home.ula.indexOf('/')) as Ip).slice(0, 12);
  const subnets = [...wish.subnets].sort((a, b) => familyOf(a) - familyOf(b));
  const families = subnets.map(familyOf);
  const auto = subnets.length === 0;
  const chosen = [
    ...(auto ? [pools.subnet4, { ...pools.subnet6, head }] : []),
    ...(auto || families.includes(4) ? [pools.vip4] : []),
    ...(auto || families.includes(6) ? [{ ...pools.vip6, head }] : []),
  ];
  const { id, name, ipRanges, reserved, mtu, encrypted, internal, createdAt } = wish;
  const { meta, changes, networks, networkNames, vnis, prefixes, prefixIndex } = session.registry;
  const reply = session.present(
    await session.change(
      'create-network-7',
      '',
      [meta, changes, networks, networkNames, vnis, prefixes, prefixIndex],
      [
        id,
        name,
        members({ id, name, ipRanges, reserved, mtu, encrypted, internal, createdAt }),
        members({ labels: sorted(wish.labels) }),
        firstVni,
        vniCount,
        wish.allowOverlap ? 1 : 0,
        JSON.stringify({ subnets: subnets.map(prefixOf), avoid: avoid.map(prefixOf), pools: chosen }),
      ],
    ),
  );
  const [status, detail] = reply;
  if (status === 'name_taken') {
    throw new WarrenError(status, `network "${name}" exists already (${detail})`, 'choose another name');
  }
  if (status === 'quota_exceeded') throw quotaExceeded('networks', Number(detail));
  if (status === 'vni_exhausted') {
    throw new WarrenError(status, `the cluster has ${vniCount} networks, more are not possible`);
  }
  if (status === 'pool_exhausted') {
    const what = detail?.startsWith('subnet') ? 'subnets' : 'virtual IP pools';
    const family = detail?.endsWith('6') ? 'IPv6' : 'IPv4';
    throw new WarrenError(
      status,
      `network "${name}": no ${family} prefix is left in the pool of ${what}`,
      'name one with --subnet',
    );
  }
  if (status === 'subnet_overlap') throw overlap(name, reply);
  if (status !== 'ok') throw unexpected(status);
  const network = parseDocument('network', detail);
  await open(session, network);
  return network;
}

export async function networkUpdate(
  session: Session,
  id: NetworkId,
  patch: NetworkPatch,
  avoid: readonly Cidr[],
): Promise<Network> {
  const before = await record(session, id);
  const subnets = patch.subnets ?? [];
  checkSubnets(before.name, { subnets, ipRanges: [], reserved: [] });
  const { meta, changes, networks, prefixes, prefixIndex } = session.registry;
  const reply = session.present(
    await session.change(
      'update-network-5',
      '',
      [meta, changes, networks, prefixes, prefixIndex],
      [
        id,
        patch.labels ? members({ labels: sorted(patch.labels) }) : '',
        JSON.stringify({ subnets: subnets.map(prefixOf), avoid: avoid.map(prefixOf) }),
      ],
    ),
  );
  const [status, detail] = reply;
  if (status === 'network_not_found') throw unknownNetwork(id);
  if (status === 'subnet_overlap') throw overlap(before.name, reply);
  if (status === 'invalid_input') {
    const has = before.subnets.join(' and ');
    throw new WarrenError(
      status,
      `network "${before.name}": ${detail} does not contain its subnet (${has})`,
      'a subnet can only grow',
    );
  }
  if (status !== 'ok') throw unexpected(status);
  const network = parseDocument('network', detail);
  await open(session, network);
  return network;
}

/** What a slot must know of its network. */
export function planOf(network: Network) {
  const pools = network.subnets.map((subnet) => {
    const { ranges: _, ...pool } = poolOf(network, subnet);
    return pool;
  });
  return { pools, reserved: network.reserved.map(toHex) };
}

/** Makes the network's slot, or brings it up to this record; true when that changed something. */
export async function open(session: Session, network: Network): Promise<boolean> {
  const keys = session.network(network.id);
  await session.root();
  const [status, changed] = await session.guarded(
    'open-network-8',
    [keys.meta, keys.reserved, keys.addresses4, keys.pool4, keys.cooling4, keys.addresses6, keys.pool6, keys.cooling6],
    [network.id, randomBytes(8).toString('hex'), JSON.stringify(planOf(network))],
  );
  if (status === 'ok') return changed === '1';
  throw status === 'gone' || status === 'network_closing'
    ? closing(status, network.id, network.name)
    : unexpected(status);
}

export async function networkRemove(session: Session, id: NetworkId, force: boolean): Promise<boolean> {
  await session.root();
  const {
    meta,
    changes,
    networks,
    networkNames,
    vnis,
    prefixes,
    prefixIndex,
    purges,
    removed: tombs,
  } = session.registry;
  const slot = session.network(id);
  const keysOfSlot = [slot.meta, slot.endpoints, slot.services];
  const [status, ...counts] = await session.guarded('close-network-3', keysOfSlot, [force ? 1 : 0]);
  if (status === 'network_in_use') {
    const network = await record(session, id).catch(() => undefined);
    const what = ['endpoint', 'service'].map((noun, i) =>
      counts[i] === '0' ? '' : `${counts[i]} ${noun}${counts[i] === '1' ? '' : 's'}`,
    );
    throw new WarrenError(
      status,
      `network "${network?.name ?? id}" has ${what.filter(Boolean).join(' and ')}`,
      'remove them first, or all of it with --force',
    );
  }
  const keys = [meta, changes, networks, networkNames, vnis, prefixes, prefixIndex, purges, tombs];
  const [, removed] = session.present(await session.change('remove-network-9', '', keys, [id, firstVni]));
  // Also those whose removal ended between the registry and the purge.
  const due = await session.connection.use((client) => client.smembers(purges));
  for (const gone of new Set([...due, id] as NetworkId[])) {
    await session.change('purge-network-18', gone, Object.values(session.network(gone)), []);
    await session.connection.use((client) => client.srem(purges, gone));
  }
  return removed === '1';
}

export async function networkJoin(session: Session, id: NetworkId, node: NodeId): Promise<Network> {
  const { meta, changes, networks } = session.registry;
  const reply = await session.change('join-network-3', '', [meta, changes, networks], [id, node]);
  const [status, detail] = session.present(reply);
  if (status === 'network_not_found') throw unknownNetwork(id);
  if (status !== 'ok') throw unexpected(status);
  const network = parseDocument('network', detail);
  await open(session, network);
  return network;
}

export async function networkLeave(session: Session, id: NetworkId, node: NodeId): Promise<void> {
  const { meta, changes, networks } = session.registry;
  const reply = await session.change('leave-network-3', '', [meta, changes, networks], [id, node]);
  const [status] = session.present(reply);
  if (status !== 'ok') throw unexpected(status);
}

export async function networkPublish(
  session: Session,
  id: NetworkId,
  service: ServiceId,
  ports: readonly Published[],
): Promise<Network> {
  const { meta, changes, networks } = session.registry;
  const wish = ports.map((each) => ({
    text: JSON.stringify({ ...each, service }),
    ip: each.ip ?? '',
    port: each.port,
    proto: each.proto,
  }));
  const args = [id, service, JSON.stringify(wish)];
  const [status, detail, holder, name] = session.present(
    await session.change('publish-network-3', '', [meta, changes, networks], args),
  );
  if (status === 'ok') return parseDocument('network', detail);
  if (status === 'network_not_found') throw unknownNetwork(id);
  if (status !== 'published_port_taken') throw unexpected(status);
  throw new WarrenError(
    status,
    `port ${detail} is published by service ${holder} of network "${name}"`,
    'publish another port, or one address of the hosts: --publish IP:PORT:VIPPORT',
  );
}

export async function usage(session: Session, id: NetworkId): Promise<readonly Usage[]> {
  const network = await record(session, id);
  const slot = session.network(id);
  const keys = [slot.meta, slot.addresses4, slot.cooling4, slot.addresses6, slot.cooling6];
  const [status, ...counts] = await session.read('read-usage-5', keys);
  const known = status === 'ok' ? counts.map(Number) : [];
  return network.subnets.map((subnet) => {
    const at = familyOf(subnet) === 4 ? 0 : 2;
    return { subnet, ...capacityOf(network, subnet), used: known[at] ?? 0, cooling: known[at + 1] ?? 0 };
  });
}

/** The registry's record: the truth about a network, also when its slot is missing. */
export async function record(session: Session, id: NetworkId): Promise<Network> {
  const text = await session.connection.use((client) => client.hget(session.registry.networks, id));
  if (text === null) throw unknownNetwork(id);
  return parseDocument('network', text);
}

export function unknownNetwork(id: NetworkId): WarrenError {
  return new WarrenError('network_not_found', `the cluster has no network ${id}`, 'see: warren network ls');
}

export function closing(status: 'gone' | 'network_closing', id: NetworkId, name: string): WarrenError {
  if (status === 'gone') return unknownNetwork(id);
  return new WarrenError(status, `network "${name}" is being removed`, 'finish with: warren network rm');
}

/** `subnet_overlap CIDR OTHER network ID NAME subnet|pool` or `… route`. */
function overlap(name: string, [, subnet = '', other, what, , otherName, which]: readonly string[]): WarrenError {
  const hint = 'choose another with --subnet';
  if (what === 'route') {
    const text = `network "${name}": subnet ${subnet} overlaps ${other}, which a member already reaches`;
    return new WarrenError('subnet_overlap', text, hint);
  }
  const its = which === 'pool' ? `the virtual IP pool of network "${otherName}"` : `network "${otherName}"`;
  const self = otherName === name ? `its own virtual IP pool` : its;
  return new WarrenError('subnet_overlap', `network "${name}": subnet ${subnet} overlaps ${self} (${other})`, hint);
}
