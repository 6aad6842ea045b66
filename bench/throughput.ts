import { setTimeout as sleep } from 'node:timers/promises';
import { attachTo, createApp } from './attach.ts';
import type { Bench, Host } from './place.ts';
import { Floor, iproute } from './rivals.ts';

/** One TCP stream from host a to host b: in the overlay, in a vxlan made by hand the same way, and without either. */
export const throughput: Bench = async ({ a, b }, report, quick) => {
  const clients = [await a.startAgent(), await b.startAgent()] as const;
  await Promise.all([a.said('in the cluster'), b.said('in the cluster')]);
  await createApp(clients[0]);
  for (const [n, host] of [a, b].entries()) {
    const floor = new Floor(host);
    await floor.run('netns w 1');
    await floor.run('netns h 1');
    floor.stop();
    const client = clients[n as 0 | 1];
    await attachTo(client, 'w0', { name: `w${n}`, addresses: [`10.9.0.${10 + n}`] });
    byHand(host, n);
  }
  const paths: Readonly<Record<string, { netns: string; address: string }>> = {
    warren: { netns: 'w0', address: '10.9.0.11' },
    'vxlan by hand': { netns: 'h0', address: '10.10.0.11' },
    underlay: { netns: '', address: '10.77.0.2' },
  };
  const gigabits: Record<string, number[]> = {};
  for (let round = 0; round < (quick ? 1 : 8); round++) {
    for (const [name, { netns, address }] of Object.entries(paths)) {
      const inside = netns === '' ? [] : ['ip', 'netns', 'exec', netns];
      const server = b.spawn([...inside, 'iperf3', '-s', '-1'], 'ignore');
      await sleep(300);
      const answer = JSON.parse(
        a.run([...inside, 'iperf3', '-c', address, '-t', quick ? '1' : '2', '-O', '0.3', '-J']),
      );
      if (server.exitCode === null) await new Promise((resolve) => server.once('exit', resolve));
      gigabits[name] ??= [];
      gigabits[name].push(answer.end.sum_received.bits_per_second / 1e9);
    }
  }
  for (const [what, values] of Object.entries(gigabits)) report({ bench: 'throughput', what, unit: 'Gbit/s', values });
  for (const client of clients) client.close();
};

function byHand(host: Host, n: number): void {
  const [me, other] = [`10.77.0.${1 + n}`, `10.77.0.${2 - n}`];
  host.run([
    'sh',
    '-ec',
    `${iproute.network('byhand', 7_000_000).replace('local 10.77.0.1', `local ${me}`).replaceAll('10.9.', '10.10.')}
    ip -n byhand link add wh0 address 12:00:00:00:00:0${n} mtu 1450 master br0 type veth peer name eth0 netns h0 mtu 1450 address 0a:00:00:00:00:0${n}
    ip -n byhand link set wh0 addrgenmode none type bridge_slave learning off flood off
    ip -n byhand link set wh0 up
    bridge -n byhand fdb replace 0a:00:00:00:00:0${n} dev wh0 master extern_learn
    bridge -n byhand fdb replace 0a:00:00:00:00:0${1 - n} dev vx0 self dst ${other} extern_learn
    bridge -n byhand fdb replace 0a:00:00:00:00:0${1 - n} dev vx0 master extern_learn
    ip -n byhand neigh replace 10.10.0.${11 - n} lladdr 0a:00:00:00:00:0${1 - n} dev vx0 nud permanent
    ip -n h0 link set lo up
    ip -n h0 link set eth0 up
    ip -n h0 addr add 10.10.0.${10 + n}/16 dev eth0`,
  ]);
}
