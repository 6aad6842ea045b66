import type { Kernel } from '../kernel/kernel.ts';
import type { Op } from '../kernel/op.ts';
import type { Sa } from '../kernel/state.ts';
import { Secret } from '../model/secret.ts';

const sa: Sa = {
  src: '192.0.2.1',
  dst: '192.0.2.2',
  spi: 256,
  reqid: 0,
  mode: 'transport',
  aead: { name: 'rfc4106(gcm(aes))', icv: 128 },
  esn: true,
  replayWindow: 128,
};
/** Of nothing that ever carries traffic. */
const key = new Secret(new Uint8Array(36));

const probes: Readonly<Record<string, Op>> = {
  bridge: { op: 'link.add', link: { name: 'p0', kind: 'bridge' } },
  veth: { op: 'link.add', link: { name: 'p1', kind: 'veth', veth: { peer: { name: 'p2', netns: { path: '' } } } } },
  vxlan: {
    op: 'link.add',
    link: {
      name: 'p3',
      kind: 'vxlan',
      vxlan: { vni: 1, local: '127.0.0.1', port: 4790, learning: false, proxy: true },
    },
  },
  nft: {
    op: 'nft.set',
    table: {
      family: 'inet',
      name: 'probe',
      text: 'chain probe {\n\ttype nat hook postrouting priority srcnat; policy accept;\n}',
    },
  },
  ipvs: { op: 'ipvs.set', service: { fwmark: 1, family: 4, scheduler: 'rr' } },
  esp: { op: 'sa.add', sa, key },
  esp6: { op: 'sa.add', sa: { ...sa, src: '2001:db8::1', dst: '2001:db8::2' }, key },
  chacha20poly1305: {
    op: 'sa.add',
    sa: { ...sa, spi: 257, aead: { name: 'rfc7539esp(chacha20,poly1305)', icv: 128 } },
    key,
  },
  /** Kernels that do not know directions want a window of every SA with ESN. */
  saDir: { op: 'sa.add', sa: { ...sa, spi: 258, dir: 'out', replayWindow: 0 }, key },
};

let known: Promise<Record<string, boolean>> | undefined;

/** What this kernel can do, found by doing it once in a namespace made for it; remembered while the process lives. */
export function featuresOf(kernel: Kernel): Promise<Record<string, boolean>> {
  known ??= probe(kernel);
  known.catch(() => {
    known = undefined; // no clear answer is no answer
  });
  return known;
}

async function probe(kernel: Kernel): Promise<Record<string, boolean>> {
  const name = `warren-probe-${process.pid}`;
  const netns = { path: `/run/netns/${name}` };
  await kernel.apply({ path: '' }, [{ op: 'netns.add', name }]);
  try {
    const features: Record<string, boolean> = {};
    for (const [feature, op] of Object.entries(probes)) {
      const fitted = feature === 'veth' ? withPeerIn(op, netns) : op;
      features[feature] = await kernel.apply(netns, [fitted]).then(
        () => true,
        () => false,
      );
    }
    return features;
  } finally {
    await kernel.apply({ path: '' }, [{ op: 'netns.del', name }]);
  }
}

function withPeerIn(op: Op, netns: { path: string }): Op {
  if (op.op !== 'link.add' || !op.link.veth) return op;
  return { op: 'link.add', link: { ...op.link, veth: { peer: { ...op.link.veth.peer, netns } } } };
}
