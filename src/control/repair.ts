import type { Network } from '../model/network.ts';
import type { View } from '../model/view.ts';
import type { Finding, NetworkCheck, Scrutiny } from '../store/finding.ts';
import type { Store } from '../store/store.ts';
import { registryOf } from './nodes.ts';

export type CheckJson = {
  networks: {
    name: string;
    id: string;
    /** Entries looked at. */
    checked: number;
    findings: readonly Finding[];
    /** Findings that are not named. */
    more: number;
    /** Findings that are not repaired. */
    left: number;
  }[];
};

/**
 * Compares what the store says of networks in several places, and mends it where asked. The host that does it knows more than
 * the store of networks it is on: what ran there when a document was damaged.
 */
export async function checkNetworks(
  store: Store,
  view: View,
  networks: readonly Network[],
  repair: boolean,
): Promise<CheckJson> {
  const strangers = await store.membersCheck(repair);
  const checked: CheckJson['networks'] = [];
  for (const network of networks) {
    const { findings, ...slot } = await checkSlot(store, view, network, repair);
    const of = await memberships(store, network, slot.nodes, repair);
    const members: Finding[] = (strangers.get(network.id) ?? []).map((node) => ({
      kind: 'member',
      subject: node,
      detail: 'is a member of the network and no node of the cluster',
      repaired: repair,
    }));
    const all = [...findings, ...members, ...of];
    const left = slot.left + [...members, ...of].filter(({ repaired }) => !repaired).length;
    const { name, id } = network;
    checked.push({ name, id, checked: slot.checked, findings: all, more: slot.more, left });
  }
  return { networks: checked };
}

/**
 * A first look says whose endpoints there are; the registry, asked after that, which of those nodes are no more: one that
 * registers and attaches in between is not taken for one of them. What is mended is judged anew by the script that mends.
 */
async function checkSlot(store: Store, view: View, network: Network, repair: boolean): Promise<NetworkCheck> {
  const look: Scrutiny = { repair: false, gone: [], known: undefined };
  const first = await store.networkCheck(network, look);
  const nodes = new Set((await registryOf(store)).nodes.map(({ id }) => id));
  const gone = first.nodes.filter((node) => !nodes.has(node));
  if (!repair && gone.length + first.lost.length === 0) return first;
  const { revision, endpoints, services } = view.followed.get(network.id) ?? {};
  const lost = new Set(first.lost);
  const of = <Id extends string, Thing>(things: ReadonlyMap<Id, Thing> | undefined): ReadonlyMap<Id, Thing> =>
    new Map([...(things ?? [])].filter(([id]) => lost.has(id)));
  const known = revision && { revision, endpoints: of(endpoints), services: of(services) };
  const second = await store.networkCheck(network, { repair, gone, known });
  return { ...second, nodes: second.nodes.filter((node) => nodes.has(node)) };
}

/** Who has endpoints there is a member: the others would not send to it. */
async function memberships(
  store: Store,
  { id, members }: Network,
  nodes: NetworkCheck['nodes'],
  repair: boolean,
): Promise<Finding[]> {
  const missing = nodes.filter((node) => !members.includes(node));
  if (missing.length === 0) return [];
  const now = (await registryOf(store)).networks.find((network) => network.id === id)?.members ?? [];
  const findings: Finding[] = [];
  for (const node of missing.filter((each) => !now.includes(each))) {
    if (repair) await store.networkJoin(id, node);
    const detail = 'has endpoints here and is no member of the network';
    findings.push({ kind: 'member', subject: node, detail, repaired: repair });
  }
  return findings;
}
