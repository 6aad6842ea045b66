import { setTimeout as sleep } from 'node:timers/promises';
import { Cluster, type Host } from '../test/support/cluster.ts';
import type { Bench } from './place.ts';

/**
 * One TCP stream between two hosts with kernels of their own (the lab's, as not every kernel has ESP): in an encrypted network,
 * in a plain one, in a vxlan made by hand with AES-GCM-128, and without any. And how long new keys take.
 */
export const encrypted: Bench = async (_, report, quick) => {
  await using cluster = await Cluster.start({ guests: 2 });
  const { a, b } = cluster;
  await a.json('network create secret --subnet 10.9.0.0/24');
  await a.json('network create open --subnet 10.8.0.0/24 --encrypt=false');
  for (const host of [a, b]) {
    await host.attach('secret', 's', `--name s-${host.name} --ip 10.9.0.${host === a ? 10 : 11}`);
    await host.attach('open', 'o', `--name o-${host.name} --ip 10.8.0.${host === a ? 10 : 11}`);
    await byHand(host, host === a ? 0 : 1);
  }
  const paths: Readonly<Record<string, readonly [netns: string, address: string]>> = {
    'warren, encrypted': ['s', '10.9.0.11'],
    'warren, plain': ['o', '10.8.0.11'],
    'vxlan and AES-GCM-128 by hand': ['h', '10.10.0.11'],
    underlay: ['', '10.77.0.2'],
  };
  const megabits: Record<string, number[]> = {};
  for (let round = 0; round < (quick ? 1 : 6); round++) {
    for (const [what, [netns, address]] of Object.entries(paths)) {
      const inside = netns === '' ? '' : `ip netns exec ${netns} `;
      const server = b.guest.spawn(`exec ${inside}iperf3 -s -1`);
      await sleep(500);
      const answer = await a.guest.json<{ end: { sum_received: { bits_per_second: number } } }>(
        `${inside}iperf3 -c ${address} -t ${quick ? 1 : 3} -O 0.5 -J`,
      );
      await server.done;
      megabits[what] ??= [];
      megabits[what].push(answer.end.sum_received.bits_per_second / 1e6);
    }
  }
  for (const [what, values] of Object.entries(megabits))
    report({ bench: 'encrypted', what, unit: 'Mbit/s', values, note: 'in the lab' });
  const values: number[] = [];
  for (let i = 0; i < (quick ? 5 : 50); i++) {
    const began = performance.now();
    await a.ask('rekey');
    values.push(performance.now() - began);
  }
  report({ bench: 'rekey', what: 'one pair, asked to done', unit: 'ms', values, note: 'in the lab' });
};

/** As Swarm does it, with one key both ways. */
async function byHand({ guest }: Host, n: number): Promise<void> {
  const [me, other] = [`10.77.0.${1 + n}`, `10.77.0.${2 - n}`];
  const sa = (src: string, dst: string) =>
    `ip xfrm state add src ${src} dst ${dst} proto esp spi 0x${src === me ? n + 1 : 2 - n}000 reqid 42 mode transport replay-window 128 flag esn aead 'rfc4106(gcm(aes))' 0x${'11'.repeat(20)} 128`;
  const policy = (dir: string, src: string, dst: string) =>
    `ip xfrm policy add src ${src} dst ${dst} proto udp dport 4799 dir ${dir} tmpl src ${src} dst ${dst} proto esp reqid 42 mode transport`;
  await guest.ok(
    [
      'ip netns add h',
      sa(me, other),
      sa(other, me),
      policy('out', me, other),
      policy('in', other, me),
      `ip link add vxh type vxlan id 77 local ${me} remote ${other} dstport 4799`,
      'ethtool -K vxh tso off >/dev/null',
      'ip link set vxh mtu 1416 netns h',
      `ip -n h addr add 10.10.0.${10 + n}/24 dev vxh`,
      'ip -n h link set vxh up',
    ].join('\n'),
  );
}
