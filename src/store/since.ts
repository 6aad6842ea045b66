import type { ClusterId, NetworkId, NodeId } from '../model/id.ts';
import type { Limits } from '../model/node.ts';
import type { Revision } from '../model/view.ts';
import { parseDocument } from './document.ts';
import type { Script } from './lua.ts';
import { parseCluster } from './nodes.ts';
import type { Session } from './session.ts';
import type { Change, Delta, NetworkSnapshot, RegistrySnapshot } from './store.ts';

/**
 * A revision with the microsecond of the change that made it. After a failover that lost writes the numbers are used
 * again for other changes; only the mark tells. Whoever hands back a revision it was given has the mark in it.
 */
type Marked = Revision & { readonly mark?: string };

/** The id in the change stream of the change that made a revision; '' before the first. */
export function entryOf({ n, mark = '' }: Marked): string {
  return n === 0 ? '' : `${n}-${mark}`;
}

/** A revision by its entry. */
export function revisionOf(incarnation: string, entry: string): Revision {
  const [n, mark = ''] = entry.split('-');
  return { incarnation, n: Number(n), mark } as Marked;
}

type Raw =
  | ['changes', string, string, string, ...string[]]
  | ['snapshot', string, string, string, string, ...string[][]];

export async function registrySince(session: Session, from: Revision | undefined): Promise<Delta<RegistrySnapshot>> {
  const { meta, changes, nodes, networks } = session.registry;
  const raw = await since(session, 'read-registry-4', [meta, changes, nodes, networks], from);
  if (!raw) session.present(['absent']);
  const delta = parse(raw as Raw, ([cluster = [], nodeTexts = [], networkTexts = []]) => ({
    cluster: parseCluster(cluster),
    nodes: nodeTexts.map((text) => parseDocument('node', text)),
    networks: networkTexts.map((text) => parseDocument('network', text)),
  }));
  session.remember(delta.revision);
  return delta;
}

/** undefined: the network has no slot, or no longer. */
export async function networkSince(
  session: Session,
  id: NetworkId,
  from: Revision | undefined,
): Promise<Delta<NetworkSnapshot> | undefined> {
  const { meta, changes, endpoints, services, asserted } = session.network(id);
  const raw = await since(session, 'read-network-5', [meta, changes, endpoints, services, asserted], from);
  return (
    raw &&
    parse(raw, ([texts = [], services = [], nodes = []]) => ({
      endpoints: texts.map((text) => parseDocument('endpoint', text)),
      services: services.map((text) => parseDocument('service', text)),
      asserted: nodes as NodeId[],
    }))
  );
}

async function since(
  session: Session,
  script: Script,
  keys: readonly string[],
  from: Marked | undefined,
): Promise<Raw | undefined> {
  const reply = await session.read(script, keys, [from?.incarnation ?? '', from?.n ?? '', from?.mark ?? '']);
  return reply[0] === 'absent' ? undefined : (reply as unknown as Raw);
}

function parse<Snapshot>(raw: Raw, whole: (parts: string[][]) => Snapshot): Delta<Snapshot> {
  const [kind, incarnation, n, mark] = raw;
  const revision: Marked = { incarnation, n: Number(n), mark };
  if (kind === 'snapshot') {
    const [, , , , diverged, ...parts] = raw;
    return { kind, revision, snapshot: whole(parts), ...(diverged === '1' ? { diverged: true as const } : {}) };
  }
  const changes: Change[] = [];
  for (let i = 4; i + 2 < raw.length; i += 3)
    changes.push(...parseChange(raw[i], raw[i + 1] as string, raw[i + 2] as string));
  return { kind, revision, changes };
}

/** Of other kinds there is nothing to know: tokens, and what a later version may add. */
function parseChange(kind: unknown, id: string, text: string): Change[] {
  if (kind === 'asserted') return [{ kind, id: id as NodeId }];
  if (kind === 'layout') return [{ kind, id: id as ClusterId, value: Number(text) }];
  if (kind === 'limits') return [{ kind, id: id as ClusterId, value: JSON.parse(text) as Limits }];
  if (kind !== 'node' && kind !== 'network' && kind !== 'endpoint' && kind !== 'service') return [];
  return [{ kind, id, value: text === '' ? undefined : parseDocument(kind, text) } as Change];
}
