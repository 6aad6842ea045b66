import type { EncryptionJson } from '../control/present.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { SaCounters } from '../kernel/state.ts';
import { host } from '../kernel/state.ts';
import type { IdentityKey } from '../keys/identity.ts';
import { fingerprint } from '../keys/identity.ts';
import type { Trouble } from '../keys/pair.ts';
import { saKey } from '../keys/sa.ts';
import type { NodeId } from '../model/id.ts';
import type { Node } from '../model/node.ts';
import { localOf } from '../model/node.ts';
import type { Encryption } from './encryption.ts';
import type { Peer } from './peer.ts';

/** What `status` and `node inspect` show of the keys with one other node. */
export type PairJson = EncryptionJson & {
  node: string;
  id: NodeId;
  address: string;
  up: boolean;
  ageSeconds: number | null;
  /** Why new keys were begun that are not in use yet. */
  rotating: string | null;
  /** Why there are none, or the next do not come. */
  trouble: string | null;
  /** Under the keys there are now; bytes are of whole packets before encryption. */
  sent: { packets: number; bytes: number };
  received: { packets: number; bytes: number };
  /** Packets refused: replayed, too late, or not authentic. */
  errors: number;
};

export async function pairReports(kernel: Kernel, encryption: Encryption): Promise<PairJson[]> {
  const peers = [...encryption.peers.values()];
  if (peers.length === 0) return [];
  const { sas } = await kernel.read(host, { sas: true });
  const counters = new Map(sas.map((sa) => [saKey(sa), sa.counters]));
  return peers
    .map((peer) => pairJson(peer, encryption, (dst, spi) => counters.get(saKey({ dst, spi }))))
    .sort((a, b) => a.node.localeCompare(b.node));
}

/** Trouble although there are keys. */
const lasting: readonly (Trouble | undefined)[] = ['no_udp_port', 'esp_blocked'];

function pairJson(
  peer: Peer,
  encryption: Encryption,
  counters: (dst: string, spi: number) => SaCounters | undefined,
): PairJson {
  const { node, outcome } = peer;
  const { status } = outcome ?? {};
  const out = (outcome?.keep.out ?? []).flatMap((spi) => counters(node.underlay, spi) ?? []);
  const into = (outcome?.keep.in ?? []).flatMap((spi) => counters(localOf(encryption.self), spi) ?? []);
  const elsewhere = peer.elsewhere && `comes from ${peer.elsewhere}`;
  const trouble =
    peer.refused ?? elsewhere ?? (status?.up && !lasting.includes(status.trouble) ? undefined : status?.trouble);
  return {
    node: node.name,
    id: node.id,
    address: node.underlay,
    up: peer.up,
    ...encryptionOf(peer, node, encryption),
    ageSeconds: status?.ageMs === undefined ? null : Math.floor(status.ageMs / 1000),
    rotating: status?.rotating ?? null,
    trouble: trouble ?? null,
    sent: sum(out),
    received: sum(into),
    errors: into.reduce(
      (all, { replay, replayWindow, integrityFailed }) => all + replay + replayWindow + integrityFailed,
      0,
    ),
  };
}

/** Of the pair that this node and that one are; nulls where they share no encrypted network, and for this node itself. */
export function encryptionOf(peer: Peer | undefined, node: Node, encryption: Encryption): EncryptionJson {
  const identity = identityOf(node, encryption);
  const { status } = peer?.outcome ?? {};
  return {
    cipher: status?.cipher ?? null,
    encap: status?.encap ?? null,
    generation: status?.generation ?? null,
    rekeyedAt: status?.ageMs === undefined ? null : new Date(Date.now() - status.ageMs).toISOString(),
    fingerprint: identity === undefined ? null : fingerprint(identity),
    trust: encryption.trustOf(node),
  };
}

/** The identity that was pinned; of one never met, what it says itself. */
function identityOf(node: Node, encryption: Encryption): IdentityKey | undefined {
  return encryption.pinned(node.id) ?? (node.identity as IdentityKey | undefined);
}

function sum(all: readonly SaCounters[]): { packets: number; bytes: number } {
  return all.reduce(({ packets, bytes }, one) => ({ packets: packets + one.packets, bytes: bytes + one.bytes }), {
    packets: 0,
    bytes: 0,
  });
}
