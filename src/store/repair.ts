import { WarrenError } from '../model/error.ts';
import type { NetworkId, NodeId } from '../model/id.ts';
import type { Network } from '../model/network.ts';
import { endpointText, serviceText } from './document.ts';
import type { Finding, NetworkCheck, Scrutiny } from './finding.ts';
import { open, planOf } from './networks.ts';
import type { Session } from './session.ts';
import { unexpected } from './session.ts';
import { entryOf } from './since.ts';

/** So many findings of a network are named; the rest is counted. */
const mostNamed = 1000;

/** In this order: what documents claim comes back before what nobody claims goes. */
const parts = [
  ...['pools', 'endpoints', 'holds', 'services', 'vips', 'names', 'macs', 'netns'],
  ...['addresses4', 'addresses6', 'cooling4', 'cooling6', 'bits4', 'bits6'],
];

export async function networkCheck(
  session: Session,
  network: Network,
  { repair, gone, known }: Scrutiny,
): Promise<NetworkCheck> {
  const sum = new Sum();
  await session.root();
  // A pool that the slot does not know is made whole at once: an address could be given out twice in between.
  if (repair && (await openAgain(session, network)))
    sum.say({ kind: 'pool', subject: network.name, detail: 'its subnets were not known as they are', repaired: true });
  const keys = session.network(network.id);
  const names = [
    ...[keys.meta, keys.changes, keys.endpoints, keys.names, keys.macs, keys.netns, keys.reserved, keys.holds],
    ...[keys.addresses4, keys.pool4, keys.cooling4, keys.addresses6, keys.pool6, keys.cooling6],
    ...[keys.services, keys.vips],
  ];
  const plan = {
    ...planOf(network),
    gone,
    known: Object.fromEntries(documentsOf(known)),
    incarnation: known?.revision.incarnation ?? '',
    entry: known ? entryOf(known.revision) : '',
    alone: network.members.length === 0,
  };
  for (const part of parts) {
    let cursor = '0';
    const text = JSON.stringify({ ...plan, missing: part.startsWith('bits') ? sum.missing : {} });
    do {
      const args = [repair ? 1 : 0, session.cooldownMs, part, cursor, text];
      const reply = await session.change('check-network-16', network.id, names, args);
      const [status, detail = ''] = reply;
      if (status !== 'ok') return unlooked(network, status, detail);
      sum.add(reply);
      cursor = detail;
    } while (cursor !== '0');
  }
  return sum.done();
}

function documentsOf(known: Scrutiny['known']): [string, string][] {
  return [
    ...[...(known?.endpoints.values() ?? [])].map((each): [string, string] => [each.id, endpointText(each)]),
    ...[...(known?.services.values() ?? [])].map((each): [string, string] => [each.id, serviceText(each)]),
  ];
}

async function openAgain(session: Session, network: Network): Promise<boolean> {
  try {
    return await open(session, network);
  } catch (error) {
    // The parts say so, too.
    if (error instanceof WarrenError && /^network_(closing|not_found)$/.test(error.code)) return false;
    throw error;
  }
}

function unlooked(network: Network, status: string, detail: string): NetworkCheck {
  switch (status) {
    // Whoever made or removed it died between two steps, and the next one to come finishes that.
    case 'absent':
    case 'gone':
      return new Sum().done();
    case 'network_closing':
      return unmended(network, 'closing', `is being removed; finish with: warren network rm ${network.name}`);
    case 'recovering':
      return unmended(network, 'recovering', `waits for what nodes hold since it lost writes: ${detail}; try again`);
  }
  throw unexpected(status);
}

function unmended({ name }: Network, kind: Finding['kind'], detail: string): NetworkCheck {
  const findings = [{ kind, subject: name, detail, repaired: false }];
  return { checked: 0, findings, more: 0, left: 1, nodes: [], lost: [] };
}

/** What the parts have said. A scan may come by the same entry twice. */
class Sum {
  #checked = 0;
  readonly #findings = new Map<string, Finding>();
  readonly #nodes = new Set<NodeId>();
  readonly #lost = new Set<string>();

  say(finding: Finding): void {
    const { kind, subject, detail } = finding;
    this.#findings.set(JSON.stringify([kind, subject, detail]), finding);
  }

  add(reply: readonly unknown[]): void {
    const [, , checked, flat, nodes, lost] = reply as ['ok', string, string, string[], NodeId[], string[]];
    this.#checked += Number(checked);
    for (const node of nodes) this.#nodes.add(node);
    for (const id of lost) this.#lost.add(id);
    for (let i = 0; i < flat.length; i += 4) {
      const [kind, subject = '', detail = '', repaired] = flat.slice(i, i + 4);
      this.say({ kind: kind as Finding['kind'], subject, detail, repaired: repaired === '1' });
    }
  }

  /** What should be there and is not. */
  get missing(): Record<string, true> {
    const all = [...this.#findings.values()].filter(({ kind }) => kind === 'missing' || kind === 'reserved');
    return Object.fromEntries(all.map(({ subject }) => [subject, true]));
  }

  done(): NetworkCheck {
    const { missing } = this;
    // What one should have and another has is one mistake.
    const all = [...this.#findings.values()].filter(({ kind, subject }) => kind !== 'leaked' || !missing[subject]);
    const findings = all
      .slice(0, mostNamed)
      .sort((a, b) => a.kind.localeCompare(b.kind) || a.subject.localeCompare(b.subject));
    const left = all.filter(({ repaired }) => !repaired).length;
    const more = all.length - findings.length;
    return { checked: this.#checked, findings, more, left, nodes: [...this.#nodes].sort(), lost: [...this.#lost] };
  }
}

export async function membersCheck(
  session: Session,
  repair: boolean,
): Promise<ReadonlyMap<NetworkId, readonly NodeId[]>> {
  const { meta, changes, nodes, networks } = session.registry;
  const keys = [meta, changes, nodes, networks];
  const reply = session.present(await session.change('check-members-4', '', keys, [repair ? 1 : 0]));
  const flat = reply[1] as unknown as string[];
  const found = new Map<NetworkId, NodeId[]>();
  for (let i = 0; i < flat.length; i += 2) {
    const id = flat[i] as NetworkId;
    found.set(id, [...(found.get(id) ?? []), flat[i + 1] as NodeId]);
  }
  return found;
}
