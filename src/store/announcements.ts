import type { NodeId } from '../model/id.ts';
import { announcedMessage } from './keys.ts';
import { staleEpoch, unknownNode } from './nodes.ts';
import type { Session } from './session.ts';
import { unexpected } from './session.ts';

export async function announcementsTo(session: Session, node: NodeId): Promise<ReadonlyMap<NodeId, string>> {
  return read(session, node, '');
}

export async function announcementsBy(
  session: Session,
  node: NodeId,
  to: readonly NodeId[],
): Promise<ReadonlyMap<NodeId, string>> {
  const found = new Map<NodeId, string>();
  const each = async (receiver: NodeId): Promise<void> => {
    const text = (await read(session, receiver, node)).get(node);
    if (text !== undefined) found.set(receiver, text);
  };
  await Promise.all(to.map(each));
  return found;
}

async function read(session: Session, to: NodeId, from: NodeId | ''): Promise<ReadonlyMap<NodeId, string>> {
  const { meta, announcements } = session.registry;
  const reply = session.present(await session.read('read-announcements-2', [meta, announcements(to)], [from]));
  const [status, flat] = reply as unknown as [string, string[]];
  if (status !== 'ok') throw unexpected(status);
  const found = new Map<NodeId, string>();
  for (let i = 0; i + 1 < flat.length; i += 2) found.set(flat[i] as NodeId, flat[i + 1] as string);
  return found;
}

/** One call per receiver, all on their way at once: none of them waits for another. */
export async function announce(
  session: Session,
  node: NodeId,
  epoch: number,
  texts: ReadonlyMap<NodeId, string>,
): Promise<void> {
  const { meta, nodes, announcements } = session.registry;
  const each = async ([to, text]: [NodeId, string]): Promise<void> => {
    const args = [session.channel, announcedMessage(to), node, epoch, to, text];
    const reply = await session.guarded('announce-text-3', [meta, nodes, announcements(to)], args);
    const [status, detail] = session.present(reply);
    if (status === 'ok') return;
    if (status === 'stale_epoch') throw staleEpoch(epoch, detail);
    throw status === 'node_not_found' ? unknownNode(node) : unexpected(status);
  };
  await Promise.all([...texts].map(each));
}
