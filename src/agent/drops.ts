import type { Kernel } from '../kernel/kernel.ts';
import { host } from '../kernel/state.ts';
import type { Network } from '../model/network.ts';
import { namespaceOf, netnsOf, vxlan } from '../plan/names.ts';
import type { Log } from './log.ts';

/*
 * Packets that vanish in this host's own kernel. With esp4_offload loaded, TCP segments that vx0 leaves to be cut later are
 * dropped behind it (Linux 6.12: 1 Mbit/s instead of 300, and pings pass). That is why its tso is off. Where it is on all the
 * same, or the fault has taken another form, this is the sign: vx0 counts drops, and IPsec refuses nothing.
 */

const everyMs = 5000;
/** In that time. With tso on the cause is known; else what is multicast, and has nowhere to go, is among it. */
const fewest = { tso: 3, otherwise: 50 } as const;
/** So often in a row; then it is worth a warning. */
const times = 2;

export type Drops = {
  readonly network: string;
  readonly netns: string;
  /** In the last `seconds`. */
  readonly dropped: number;
  readonly seconds: number;
  readonly tso: boolean;
};

/** What was counted at one moment: by each vx0, and of packets that IPsec refused. */
export type Counts = { readonly refused: number; readonly networks: ReadonlyMap<string, Count> };
type Count = { readonly netns: string; readonly txDropped: number; readonly tso: boolean };

/** Of moments in a row, the latest last. */
export function dropsIn(moments: readonly Counts[]): Drops[] {
  const latest = moments.at(-1);
  if (!latest || moments.length <= times || moments.some(({ refused }) => refused !== latest.refused)) return [];
  return [...latest.networks].flatMap(([network, { netns, txDropped, tso }]) => {
    const counted = moments.map(({ networks }) => networks.get(network)?.txDropped ?? txDropped);
    const each = counted.slice(1).map((count, i) => count - (counted[i] ?? count));
    if (each.some((count) => count < (tso ? fewest.tso : fewest.otherwise))) return [];
    return { network, netns, dropped: txDropped - (counted[0] ?? 0), seconds: (times * everyMs) / 1000, tso };
  });
}

/** Looks for that sign in the encrypted networks that are here. */
export class DropWatch {
  readonly #kernel: Kernel;
  readonly #networks: () => readonly Network[];
  readonly #log: Log;
  readonly #timer: NodeJS.Timeout;
  #moments: readonly Counts[] = [];
  #looking = false;
  drops: readonly Drops[] = [];

  constructor(kernel: Kernel, networks: () => readonly Network[], log: Log) {
    this.#kernel = kernel;
    this.#networks = networks;
    this.#log = log;
    this.#timer = setInterval(() => void this.#look(), everyMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      this.#moments = [...this.#moments, await this.#count()].slice(-times - 1);
      const known = this.drops.map(({ network }) => network);
      this.drops = dropsIn(this.#moments);
      for (const each of this.drops) if (!known.includes(each.network)) this.#log.warn('packets vanish', each);
    } catch (error) {
      this.#log.debug('drops cannot be counted', { error: (error as Error).message }); // a network goes just now
    } finally {
      this.#looking = false;
    }
  }

  async #count(): Promise<Counts> {
    const networks = new Map<string, Count>();
    for (const { name, vni } of this.#networks()) {
      const { links } = await this.#kernel.read(netnsOf(vni), { links: true });
      const { txDropped, tso } = links.find((link) => link.name === vxlan) ?? {};
      if (txDropped !== undefined) networks.set(name, { netns: namespaceOf(vni), txDropped, tso: tso === true });
    }
    const { xfrmStat } = await this.#kernel.read(host, { xfrmStat: networks.size > 0 });
    return { refused: xfrmStat.reduce((all, { count }) => all + count, 0), networks };
  }
}

/** For a person. */
export function warningOf({ network, netns, dropped, seconds, tso }: Drops): string {
  const what = `network "${network}": ${vxlan} dropped ${dropped} packets in ${seconds} s, and IPsec refused none`;
  return tso
    ? `${what}: large ones vanish in ESP offload; cure: ip netns exec ${netns} ethtool -K ${vxlan} tso off`
    : `${what}: multicast (which goes nowhere), or ESP offload; if TCP is slow and ping is not, try: modprobe -r esp4_offload esp6_offload`;
}
