import type { ServiceJson } from '../src/control/present-service.ts';
import { Cluster, type Host } from '../test/support/cluster.ts';
import { manyServices, serving } from '../test/support/service.ts';
import { waitFor } from '../test/support/wait.ts';
import { type Bench, root, sh } from './place.ts';

type Asked = { perSecond: number; failed: number; p50: number; p99: number };

/**
 * New connections through a virtual IP against those to its backends themselves, in the lab, whose kernel has IPVS; then how
 * long a thousand services with ten backends each take, by an agent that starts and by ipvsadm, and one change among them.
 */
export const services: Bench = async (_, report, quick) => {
  await using cluster = await Cluster.start();
  const { a, b, c } = cluster;
  // Of so little memory the kernel would track 4096 connections in each namespace, which are full within three rounds.
  for (const { guest } of cluster.hosts) await guest.ok('sysctl -qw net.netfilter.nf_conntrack_max=262144');
  const program = `${cluster.lab.share}/connect`;
  sh(`gcc -std=gnu17 -O2 -Wall -Wextra -Werror -o ${program} ${root}bench/connect.c`);
  await a.json('network create app --subnet 10.9.0.0/16');
  const { vips } = await a.json<ServiceJson>('service create web --network app --port 80:8080');
  const { addresses } = await a.attach('app', 'client');
  const direct: string[] = [];
  for (const host of [b, c]) {
    direct.push((await host.attach('app', `w${host.name}`, '--service web')).addresses[0] ?? '');
    host.guest.spawn(`exec ip netns exec w${host.name} /lab/connect serve 8080`);
  }
  await serving(a, 'web', 2);
  const paths = {
    'virtual IP': [vips[0] ?? '', '80'],
    direct: direct.flatMap((address) => [address, '8080']),
  };
  const found: Record<string, Asked[]> = { 'virtual IP': [], direct: [] };
  for (let round = 0; round < (quick ? 2 : 12); round++)
    for (const [what, where] of Object.entries(paths)) {
      const command = `ip netns exec client /lab/connect ask ${quick ? 500 : 3000} 8 ${where.join(' ')}`;
      const asked = await a.guest.json<Asked>(command);
      if (asked.failed > 0) throw new Error(`${what}: ${asked.failed} connections failed`);
      found[what]?.push(asked);
    }
  const note = `in the lab, client ${addresses[0]}`;
  for (const [what, each] of Object.entries(found)) {
    report({ bench: 'connections', what, unit: '1/s', values: each.map(({ perSecond }) => perSecond), note });
    report({ bench: 'connection, p50 of 8', what, unit: 'ms', values: each.map(({ p50 }) => p50 / 1000), note });
  }
  await many(a, report, quick);
};

/** ipvsadm prints marks above 2³¹ with a sign that it does not take. */
const unsigned =
  '{ for (i = 1; i < NF; i++) if ($i == "-f" && $(i + 1) < 0) $(i + 1) = sprintf("%.0f", $(i + 1) + 4294967296) } 1';

async function many(a: Host, report: Parameters<Bench>[1], quick: boolean): Promise<void> {
  const [count, each] = quick ? [100, 10] : [1000, 10];
  await a.json('network create big --subnet 10.32.0.0/16');
  await a.attach('big', 'one');
  const { id } = (await a.json<{ id: string; name: string }[]>('network ls')).find(({ name }) => name === 'big') ?? {};
  const ns = (await a.guest.ok(`grep -l '' /dev/null; ls /run/netns | grep warren-`)).trim().split('\n').at(-1) ?? '';
  await a.stopAgent();
  await a.guest.ok(`ip netns del ${ns}`);
  const writer = await manyServices(a, 'big', count, each);
  const bench = `${count} services of ${each}`;
  const values: Record<'warren' | 'ipvsadm' | 'nothing to do', number[]> = {
    warren: [],
    ipvsadm: [],
    'nothing to do': [],
  };
  for (let round = 0; round < (quick ? 1 : 3); round++) {
    values.warren.push(await pass(a));
    const rules = await a.guest.ok(
      `ip netns exec ${ns} ipvsadm-save -n | awk '${unsigned}' | tee /lab/rules | grep -c -- -a`,
    );
    if (Number(rules) < count * each) throw new Error(`only ${rules} backends of ${id}`);
    await a.guest.ok('ip netns add floor && ip -n floor link set lo up');
    const began = performance.now();
    await a.guest.ok('ip netns exec floor ipvsadm-restore </lab/rules');
    values.ipvsadm.push(performance.now() - began);
    await a.guest.ok('ip netns del floor');
    await a.stopAgent();
    values['nothing to do'].push(await pass(a));
    await a.stopAgent();
    await a.guest.ok(`ip netns del ${ns}`);
  }
  await a.startAgent();
  for (const [what, ms] of Object.entries(values)) report({ bench, what, unit: 'ms', values: ms, note: 'in the lab' });
  writer.kill('SIGKILL');
  const took: Record<'asked to done' | 'a question alone', number[]> = { 'asked to done': [], 'a question alone': [] };
  const timed = async (what: keyof typeof took, method: string, params: Record<string, unknown>) => {
    const began = performance.now();
    await a.ask(method, params);
    took[what].push(performance.now() - began);
  };
  for (let n = 0; n < (quick ? 5 : 50); n++) {
    await timed('asked to done', 'service.update', { service: 'big/s7', scheduler: n % 2 ? 'wrr' : 'wlc' });
    await timed('a question alone', 'hello', {});
  }
  for (const [what, values] of Object.entries(took))
    report({ bench: `${bench}, one changed`, what, unit: 'ms', values, note: 'in the lab' });
}

/** How long an agent that starts takes until this host is as wished. */
async function pass(a: Host): Promise<number> {
  await a.guest.ok('rm -f /lab/a.agent');
  await a.startAgent();
  const said = await waitFor(
    async () => /\{[^\n]*this host is as wished[^\n]*/.exec(await a.guest.ok('cat /lab/a.agent'))?.[0],
    {
      what: 'the first pass',
      timeout: 120_000,
    },
  );
  return (JSON.parse(said) as { ms: number }).ms;
}
