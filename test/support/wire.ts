/** What was on the wire between the hosts, from the switch's own capture. */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { Cluster } from './cluster.ts';

/** `count`: packets that a filter of tcpdump(8) takes. */
export type Seen = {
  clear: number;
  plain: number;
  esp: number;
  udp: number;
  count(filter: string): number;
};

let files = 0;

/** Captures while `work` runs: VXLAN of the encrypted port in clear, VXLAN of the plain port, ESP, ESP in UDP. */
export async function captured(cluster: Cluster, work: () => Promise<void>): Promise<Seen> {
  const file = join(cluster.lab.share, `wire${++files}.pcap`);
  await cluster.lab.capture(file);
  try {
    await work();
  } finally {
    await cluster.lab.net('pcap off');
  }
  const count = (filter: string): number => {
    const text = execFileSync('tcpdump', ['-nr', file, filter], {
      encoding: 'utf8',
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text.split('\n').filter((line) => line !== '').length;
  };
  const [clear, plain] = [count('udp dst port 4789'), count('udp dst port 4790')];
  return { clear, plain, esp: count('esp'), udp: count('udp dst port 4500'), count };
}
