import type { ServiceJson } from '../src/control/present-service.ts';
import { Cluster, type Host } from '../test/support/cluster.ts';
import { serving } from '../test/support/service.ts';
import { type Bench, root, sh } from './place.ts';

const backends = 10;
type Asked = { perSecond: number; failed: number; p50: number; p99: number };

/**
 * All ten backends of a service are replaced, one by one, while a client connects as fast as it can: how many new connections a
 * second there were, and how many of them failed.
 */
export const rolling: Bench = async (_, report, quick) => {
  await using cluster = await Cluster.start();
  const { a, b, c } = cluster;
  for (const { guest } of cluster.hosts) await guest.ok('sysctl -qw net.netfilter.nf_conntrack_max=262144');
  sh(`gcc -std=gnu17 -O2 -Wall -Wextra -Werror -o ${cluster.lab.share}/connect ${root}bench/connect.c`);
  await a.json('network create app --subnet 10.9.0.0/16');
  const { vips } = await a.json<ServiceJson>('service create web --network app --port 80:8080 --health-interval 0.5');
  await a.attach('app', 'client');
  const home = (n: number): Host => (n % 2 ? b : c);
  const start = async (name: string, n: number) => {
    await home(n).attach('app', name, '--service web');
    home(n).guest.spawn(`exec ip netns exec ${name} /lab/connect serve 8080`);
  };
  const count = quick ? 2 : backends;
  for (let n = 0; n < count; n++) await start(`old${n}`, n);
  await serving(a, 'web', count);
  let replacing = true;
  const asked: Asked[] = [];
  const asking = (async () => {
    while (replacing)
      asked.push(await a.guest.json<Asked>(`ip netns exec client /lab/connect ask 1000 8 ${vips[0]} 80`));
  })();
  const began = performance.now();
  for (let n = 0; n < count; n++) {
    await start(`new${n}`, n);
    await serving(a, 'web', count + 1);
    await a.json(`service drain web old${n}`);
    await home(n).json(`detach app/old${n}`);
    await home(n).guest.ok(`ip netns pids old${n} | xargs kill; ip netns del old${n}`);
  }
  const seconds = (performance.now() - began) / 1000;
  replacing = false;
  await asking;
  const bench = `${count} backends replaced`;
  const note = `in the lab, ${asked.length * 1000} connections in ${seconds.toFixed(0)} s`;
  report({ bench, what: 'new connections', unit: '1/s', values: asked.map(({ perSecond }) => perSecond), note });
  const failed = asked.reduce((all, each) => all + each.failed, 0);
  report({ bench, what: 'failed', unit: 'connections', values: [failed] });
};
