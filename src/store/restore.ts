import { randomBytes } from 'node:crypto';
import { WarrenError } from '../model/error.ts';
import type { NetworkId, NodeId } from '../model/id.ts';
import { familyOf, toHex } from '../model/ip.ts';
import type { Network } from '../model/network.ts';
import { firstVni } from '../model/network.ts';
import { holds } from '../model/parse.ts';
import type { Revision } from '../model/view.ts';
import { endpointText, networkText, nodeText, parseDocument, serviceText } from './document.ts';
import { prefixOf } from './ipam.ts';
import { networkUpdate, planOf } from './networks.ts';
import { lastIndex, staleEpoch } from './nodes.ts';
import type { Session } from './session.ts';
import { unexpected } from './session.ts';
import type { Claim, Conflict, Store } from './store.ts';

/** How long addresses of nodes that have not spoken rest, and how long a network waits with giving out any. */
const holdMs = 24 * 3600 * 1000;
const awaitMs = 15_000;

export async function registryRestore(
  session: Session,
  { cluster, revision, nodes, networks }: Parameters<Store['registryRestore']>[0],
  self: NodeId,
): ReturnType<Store['registryRestore']> {
  const { meta, changes, nodes: nodeKey, nodeNames, nodeIndexes, networks: networkKey } = session.registry;
  const { networkNames, vnis, prefixes, prefixIndex, removed, seen } = session.registry;
  const { id, name, ula, dataPort, underlayFamily, limits, layout = 1 } = cluster;
  const fields = { clusterId: id, name, ula, dataPort: `${dataPort}`, underlayFamily: `${underlayFamily}` };
  const all = { ...fields, ...(limits && { limits: JSON.stringify(limits) }) };
  const offer = {
    cluster: Object.entries(all).flat(),
    nodes: [...nodes.values()].map((node) => ({ ...pick(node, 'id', 'name', 'index', 'epoch'), text: nodeText(node) })),
    networks: [...networks.values()].map((network) => ({
      ...pick(network, 'id', 'name', 'vni'),
      text: networkText(network),
      prefixes: [
        ...network.subnets.map((subnet) => ({ kind: 's', ...prefixOf(subnet) })),
        ...network.vipPools.map((pool) => ({ kind: 'v', ...prefixOf(pool) })),
      ],
    })),
  };
  const reply = await session.read(
    'restore-registry-12',
    [
      ...[meta, changes, nodeKey, nodeNames, nodeIndexes, networkKey, networkNames],
      ...[vnis, prefixes, prefixIndex, removed, seen],
    ],
    [
      ...[session.channel, session.origin('restore-registry-12', ''), self, incarnation(), ...known(revision)],
      ...[firstVni, lastIndex, JSON.stringify(offer), layout],
    ],
  );
  const [status, made] = reply;
  if (status === 'other_cluster') {
    throw new WarrenError(
      'store_lost_writes',
      `the store holds another cluster "${name}" by now (${made}, ours is ${id})`,
      'restore ours from a backup, or empty the store: then it is made again from what the hosts remember',
    );
  }
  if (status !== 'ok') throw unexpected(status);
  const [, , found, added, lost] = reply as unknown as ['ok', string, string[], NetworkId[], string[]];
  session.remember({ incarnation: found[2] ?? '' }, true);
  if (made !== '1') await growAgain(session, [...networks.values()]);
  const conflicts: Conflict[] = [];
  for (let i = 0; i < lost.length; i += 4) {
    const [kind, loser = '', code = '', holder = ''] = lost.slice(i, i + 4);
    conflicts.push({ kind: kind === 'node' ? 'node' : 'network', id: loser, code, holder });
  }
  return { made: made === '1', added, conflicts };
}

export async function networkRestore(session: Session, network: Network, claim: Claim): Promise<readonly Conflict[]> {
  const keys = session.network(network.id);
  const { node, epoch, revision, mine, others, services, saved } = claim;
  const plan = {
    ...planOf(network),
    members: network.members,
    services: services.map((service) => ({
      ...pick(service, 'id', 'name'),
      hexes: service.vips.map(toHex),
      text: serviceText(service),
    })),
    others: others.flatMap(({ addresses }) => addresses.map(toHex)),
    mine: mine.map((endpoint) => {
      const { boot, dev, inode } = endpoint.born;
      const hexes = endpoint.addresses.map(toHex);
      const netns = [endpoint.node, boot, dev, inode].join('/');
      return { ...pick(endpoint, 'id', 'name', 'mac'), netns, hexes, text: endpointText(endpoint) };
    }),
  };
  await session.root();
  const reply = await session.change(
    'restore-network-18',
    network.id,
    [
      ...[keys.meta, keys.changes, keys.endpoints, keys.names, keys.macs, keys.netns, keys.epochs, keys.reserved],
      ...[keys.holds, keys.addresses4, keys.pool4, keys.cooling4, keys.addresses6, keys.pool6, keys.cooling6],
      ...[keys.asserted, keys.services, keys.vips],
    ],
    [node, epoch, incarnation(), ...known(revision), JSON.stringify(plan), holdMs, awaitMs, saved ? 1 : 0],
  );
  const [status, detail] = reply;
  // Removed meanwhile, and its slot purged: there is nothing to hold on to.
  if (status === 'gone') return mine.map(({ id }) => ({ kind: 'endpoint', id, code: 'network_closing', holder: '' }));
  if (status === 'stale_epoch') throw staleEpoch(epoch, detail);
  if (status !== 'ok') throw unexpected(status);
  const lost = (reply as unknown as ['ok', string[]])[1];
  const conflicts: Conflict[] = [];
  for (let i = 0; i < lost.length; i += 3) {
    const [id = '', code = '', holder = ''] = lost.slice(i, i + 3);
    conflicts.push({ kind: 'endpoint', id, code, holder });
  }
  return conflicts;
}

/** A subnet only grows: where ours contains the store's, its growing is among the writes that were lost. */
async function growAgain(session: Session, networks: readonly Network[]): Promise<void> {
  const ids = networks.map(({ id }) => id);
  if (ids.length === 0) return;
  const texts = await session.connection.use((client) => client.hmget(session.registry.networks, ...ids));
  for (const [i, ours] of networks.entries()) {
    const text = texts[i];
    if (!text) continue;
    const { subnets } = parseDocument('network', text);
    const grown = ours.subnets.filter((subnet) =>
      subnets.some((old) => old !== subnet && familyOf(old) === familyOf(subnet) && holds(subnet, old)),
    );
    // Not when somebody else has taken the room since; the endpoints out there are told about one by one.
    if (grown.length > 0) await networkUpdate(session, ours.id, { subnets: grown }, []).catch(conflictsOnly);
  }
}

function conflictsOnly(error: unknown): void {
  if (!(error instanceof WarrenError && error.exit === 4)) throw error;
}

function incarnation(): string {
  return randomBytes(8).toString('hex');
}

/** incarnation, n and mark, as scripts compare them. */
function known(revision: (Revision & { mark?: string }) | undefined): [string, number | string, string] {
  return [revision?.incarnation ?? '', revision?.n ?? '', revision?.mark ?? ''];
}

function pick<Thing extends object, Field extends keyof Thing>(
  thing: Thing,
  ...fields: Field[]
): { [F in Field]: Thing[F] } {
  return Object.fromEntries(fields.map((field) => [field, thing[field]])) as { [F in Field]: Thing[F] };
}
