/**
 * Hosts behind NATs that choose ports as they like: ESP in UDP, to where the NAT has last been heard.
 *
 *   host a 10.1.0.2 ── router r, masquerade ──────────────── 10.77.0.100 ──┐            a1
 *   host d 10.2.0.2 ── router s, masquerade, 4500 to d ───── 10.77.0.200 ──┼── net0     d1 ── "app"
 *   host b, the store ────────────────────────────────────── 10.77.0.1   ──┘            b1
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { EndpointJson, NetworkJson, NodeJson } from '../../src/control/present.ts';
import { Cluster, Host } from '../support/cluster.ts';
import { soon, waitFor } from '../support/wait.ts';
import { Lab } from './lab.ts';

const nat = { a: '10.77.0.100', d: '10.77.0.200' };
/** Of the NATs, in seconds: longer than a keepalive takes to come, shorter than a pause in the test. */
const forgets = 25;
let lab: Lab<'a' | 'b' | 'd' | 'r' | 's'>;
const hosts = {} as Record<'a' | 'b' | 'd', Host>;
const at = new Map<string, EndpointJson>();

const router = (inside: string, dnat = ''): string => `table ip nat {
  chain out { type nat hook postrouting priority srcnat; oifname "eth1" ip saddr ${inside} masquerade random; }
  chain in { type nat hook prerouting priority dstnat; ${dnat} }
}`;

before(async () => {
  const host = (subnet: string) => ({
    nics: [{ segment: `lan${subnet}`, addresses: [`${subnet}.2/24`] }],
    routes: [`default via ${subnet}.1`],
  });
  const between = (subnet: string, outside: string) => ({
    forward: true,
    nics: [{ segment: `lan${subnet}`, addresses: [`${subnet}.1/24`] }, { addresses: [`${outside}/24`] }],
  });
  lab = await Lab.start({
    guests: {
      b: { nics: [{ addresses: ['10.77.0.1/24'] }] },
      r: between('10.1.0', nat.a),
      a: host('10.1.0'),
      s: between('10.2.0', nat.d),
      d: host('10.2.0'),
    },
  });
  const { a, b, d, r, s } = lab.guests;
  for (const guest of [a, b, d]) hosts[guest.name as 'a'] = new Host(guest);
  await r.ok(['nft', router('10.1.0.0/24')]);
  await s.ok(['nft', router('10.2.0.0/24', 'iifname "eth1" udp dport 4500 dnat to 10.2.0.2:4500;')]);
  for (const each of [r, s])
    await each.ok(
      `cd /proc/sys/net/netfilter; echo ${forgets} | tee nf_conntrack_udp_timeout nf_conntrack_udp_timeout_stream`,
    );
  await b.ok('redis-server --daemonize yes --bind 10.77.0.1 --protected-mode no --save "" --dir /run');
  await waitFor(() => b.run('redis-cli -h 10.77.0.1 ping').then(({ code }) => code === 0), { what: 'redis' });
});
after(() => lab?.stop());

const address = (name: string): string => at.get(name)?.addresses[0] ?? assert.fail(name);
const reaches = async (from: 'a' | 'b' | 'd', to: string): Promise<boolean> =>
  (await hosts[from].inside(`${from}1`, `ping -n -c1 -W1 ${address(to)}`)).code === 0;
/** Of the SAs a host sends to another by: SPI, and the port it sends to. */
async function sending(from: Host, to: string): Promise<{ spi: string; port: number }[]> {
  const text = await from.guest.ok('ip xfrm state');
  const found = text.matchAll(
    /^src \S+ dst (\S+)\n\s*proto esp spi (\S+)[\s\S]*?encap type espinudp sport \d+ dport (\d+)/gm,
  );
  return [...found].filter(([, dst]) => dst === to).map(([, , spi = '', port]) => ({ spi, port: Number(port) }));
}
const forget = (): Promise<string> => lab.guests.r.ok('conntrack -F 2>&1');

/** Runs a ping while something happens, and says for how many milliseconds nothing was answered. */
async function gapWhile(from: Host, to: string, work: () => Promise<void>): Promise<number> {
  const job = from.guest.spawn(`exec ip netns exec ${from.name}1 ping -n -D -i 0.05 ${address(to)}`);
  await waitFor(() => /icmp_seq=5 /.test(job.stdout), { what: 'answers' });
  await work();
  const sent = Date.now();
  await waitFor(() => reaches(from.name as 'a', to), { what: `${from.name} to reach ${to}`, timeout: 20_000 });
  await waitFor(() => Date.now() - sent > 500, { what: 'some more' });
  job.kill('SIGINT');
  const times = [...(await job.done).stdout.matchAll(/^\[([\d.]+)\].*ttl/gm)].map(([, time]) => Number(time));
  return Math.round(Math.max(...times.slice(1).map((time, i) => time - (times[i] ?? time))) * 1000);
}

test('what cannot be is refused: an address of nobody, no store, ESP without UDP', async () => {
  const { a } = hosts;
  for (const [options, code, word] of [
    [`--store ${Cluster.store} --advertise ${nat.a}`, 'no_advertise_address', /10\.1\.0\.2; behind a NAT.*--local/],
    [`--store ${Cluster.store} --advertise ${nat.a} --local ${nat.a}`, 'no_advertise_address', /--local/],
    [`--store ${Cluster.store} --local eth0`, 'invalid_input', /--advertise/],
    [`--store ${Cluster.store} --advertise fd00::1 --local eth0`, 'no_advertise_address', /family/],
    [`--advertise ${nat.a} --local eth0`, 'behind_nat', /--store/],
    [`--store ${Cluster.store} --advertise ${nat.a} --local eth0 --encap esp`, 'behind_nat', /UDP/],
  ] as const) {
    const { stdout } = await a.warren(`init ${options} --json`);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string; hint: string } };
    assert.equal(error.code, code, stdout);
    assert.match(`${error.message} ${error.hint}`, word);
  }
});

test('both ways between a host behind a NAT and one that is not, in UDP only', async () => {
  const { a, b, d } = hosts;
  await b.init(`--store ${Cluster.store} --advertise eth0`);
  for (const host of [a, d])
    await host.init(`--store ${Cluster.store} --advertise ${nat[host.name as 'a']} --local eth0`);
  await Promise.all([a, b, d].map((host) => host.startAgent()));
  await b.json('network create app --subnet 10.9.0.0/24');
  const file = join(lab.share, 'nat.pcap');
  await lab.capture(file);
  for (const host of [b, a]) at.set(`${host.name}1`, await host.attach('app', `${host.name}1`));
  await waitFor(() => reaches('b', 'a1'), { what: 'b to reach a' });
  assert.ok(await reaches('a', 'b1'));
  await lab.net('pcap off');
  const count = (filter: string): number =>
    execFileSync('tcpdump', ['-nr', file, filter], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .split('\n')
      .filter((line) => line !== '').length;
  assert.deepEqual([count('esp'), count('udp port 4789 or udp port 4790')], [0, 0]);
  assert.ok(count(`src ${nat.a} and udp dst port 4500 and not udp src port 4500`) > 0);
  const [app] = await b.json<NetworkJson[]>('network ls');
  assert.equal(app?.mtu, 1408);
  const [node] = await b.json<NodeJson[]>('node ls');
  assert.deepEqual([node?.address, node?.local], [nat.a, '10.1.0.2']);
});

test('full packets pass both ways; a network in clear is refused', async () => {
  const { a, b } = hosts;
  for (const [host, to] of [
    [a, 'b1'],
    [b, 'a1'],
  ] as const)
    assert.equal((await host.inside(`${host.name}1`, `ping -n -c1 -W2 -M do -s 1380 ${address(to)}`)).code, 0, to);
  await b.json('network create open --encrypt=false');
  const refused = await a.warren('attach open --netns a1 --json');
  assert.deepEqual([refused.code, JSON.parse(refused.stdout).error.code], [4, 'behind_nat']);
});

test('the NAT forgets: the same SA goes on to where it is heard next, within seconds', async () => {
  const { a, b } = hosts;
  const before = await sending(b, nat.a);
  assert.ok(before.length === 1 && before[0]?.port !== 4500, JSON.stringify(before));
  const gap = await gapWhile(a, 'b1', async () => void (await forget()));
  const now = await sending(b, nat.a);
  console.log(`${gap} ms without an answer, port ${before[0]?.port} → ${now[0]?.port}`);
  assert.deepEqual(
    now.map(({ spi }) => spi),
    before.map(({ spi }) => spi),
  );
  assert.notEqual(now[0]?.port, before[0]?.port);
  assert.ok(gap < soon(5000), `${gap} ms`);
});

test('and when only the other side has something to say: new keys show where the host is now', async () => {
  const { b } = hosts;
  const gap = await gapWhile(b, 'a1', async () => void (await forget()));
  console.log(`${gap} ms without an answer`);
  assert.ok(gap < 18_000, `${gap} ms: before the next keepalive would tell`);
});

test('both behind NATs, of which one can be reached', async () => {
  const { d } = hosts;
  at.set('d1', await d.attach('app', 'd1'));
  for (const [from, to] of [
    ['d', 'b1'],
    ['b', 'd1'],
    ['d', 'a1'],
    ['a', 'd1'],
  ] as const)
    await waitFor(() => reaches(from, to), { what: `${from} to reach ${to}` });
});

test('a pause longer than the NAT remembers: the mapping is kept, by an agent and by the kernel alone', async () => {
  const { a, b } = hosts;
  for (const alive of [true, false]) {
    if (!alive) await a.killAgent();
    const [before] = await sending(b, nat.a);
    await new Promise((resolve) => setTimeout(resolve, (forgets + 4) * 1000));
    assert.ok(await reaches('b', 'a1'), alive ? 'with an agent' : 'without one');
    const [now] = await sending(b, nat.a);
    assert.equal(now?.port, before?.port);
  }
  await a.startAgent();
});

test('a mapping that changed while the agent was away is found by the next one', async () => {
  const { a, b } = hosts;
  await b.killAgent();
  await forget();
  assert.ok(!(await reaches('a', 'b1')), 'nobody follows it');
  await b.startAgent();
  await waitFor(() => reaches('a', 'b1'), { what: 'a to reach b', timeout: 10_000 });
  assert.equal((await a.warren('status')).code, 0);
});

test('another address of its own, behind the same NAT: it is followed, though the others see no change', async () => {
  const { a } = hosts;
  const [now, next] = ['10.1.0.2', '10.1.0.22'];
  const gap = await gapWhile(a, 'b1', async () => {
    await a.guest.ok(
      `ip addr add ${next}/24 dev eth0; ip addr del ${now}/24 dev eth0; ip addr replace ${next}/24 dev eth0; ip route replace default via 10.1.0.1`,
    );
  });
  console.log(`${gap} ms without an answer`);
  assert.ok(gap < soon(10_000), `${gap} ms`);
  await waitFor(() => reaches('b', 'a1'), { what: 'b to reach a' });
  assert.match(await a.guest.ok('cat /etc/warren/config.yaml'), /^local: 10\.1\.0\.22$/m);
  const old = async () => (await a.guest.ok('ip xfrm state; ip xfrm policy')).match(/^.*\b10\.1\.0\.2\b.*$/gm);
  await waitFor(async () => (await old()) === null, { what: 'nothing of the old address to be left' });
  assert.equal((await a.json<NodeJson[]>('node ls')).find(({ name }) => name === 'a')?.address, nat.a);
});
