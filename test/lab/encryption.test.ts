/**
 * Networks are encrypted unless told otherwise, and nothing of them is ever on the wire in clear.
 *
 *   host a ──┐            a1 ── warren-1048576 ──┐
 *   host b ──┼── net0     b1 ── warren-1048576 ──┼── "app", in ESP;  "open", in clear: the capture's control
 *   host c ──┘            c1 ── warren-1048576 ──┘
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { PairJson } from '../../src/agent/pair-report.ts';
import type { NetworkJson, NodeJson } from '../../src/control/present.ts';
import { Cluster, type Host } from '../support/cluster.ts';
import { complete, traffic } from '../support/traffic.ts';
import { waitFor } from '../support/wait.ts';
import { captured } from '../support/wire.ts';

let cluster: Cluster;
const ends: { name: string; node: string; netns: string; host: Host; addresses: readonly string[] }[] = [];
before(async () => {
  cluster = await Cluster.start();
});
after(() => cluster?.stop());

/** Of this kind of error, since the host was started. */
async function refusals(host: Host): Promise<Record<string, number>> {
  const text = await host.guest.ok('cat /proc/net/xfrm_stat');
  const counts = [...text.matchAll(/^(\w+)\s+(\d+)$/gm)].map(([, name = '', count]) => [name, Number(count)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

/** The longest part of it that grep can look for. */
function withoutLines(key: Buffer): Buffer {
  const parts: Buffer[] = [];
  let from = 0;
  for (let i = 0; i <= key.length; i++) {
    if (i < key.length && key[i] !== 0x0a && key[i] !== 0) continue;
    parts.push(key.subarray(from, i));
    from = i + 1;
  }
  return parts.sort((a, b) => b.length - a.length)[0] ?? key;
}

/** Which of these (in hex) a file holds: raw, in hex, in base64. */
const find = `import base64, sys
memory = open(sys.argv[1], 'rb').read()
small = memory.lower()
for text in sys.argv[2:]:
  raw = bytes.fromhex(text)
  base = [base64.b64encode(raw)[:40], base64.urlsafe_b64encode(raw)[:40]]
  if raw in memory or text.encode() in small or any(each in memory for each in base): print(text)`;

const pairs = async (host: Host): Promise<readonly PairJson[]> => (await host.status()).encryption.peers;

describe('a whole life, seen on the wire', () => {
  test('attach, traffic, new keys, a killed agent, detach: ESP, and never a packet in clear', async () => {
    const seen = await captured(cluster, async () => {
      const app = await cluster.a.json<NetworkJson>('network create app --subnet 10.9.0.0/16 --subnet fd09::/64');
      assert.deepEqual([app.encrypted, app.mtu], [true, 1416]);
      for (const host of cluster.hosts) {
        const netns = `${host.name}1`;
        const { addresses } = await host.attach('app', netns);
        // The first ping after attach arrives: keys are there when it answers.
        for (const address of ends.flatMap((end) => end.addresses)) {
          const result = await host.inside(netns, `ping -n -c1 -W1 ${address}`);
          assert.equal(result.code, 0, `${netns} → ${address}\n${result.stdout}${result.stderr}`);
        }
        ends.push({ name: netns, node: host.name, netns: `/run/netns/${netns}`, host, addresses });
      }
      await cluster.network('open --subnet 10.8.0.0/24');
      await cluster.a.attach('open', 'a2');
      const other = await cluster.b.attach('open', 'b2');
      assert.equal((await cluster.a.inside('a2', `ping -n -c3 -i0.2 -W2 ${other.addresses[0]}`)).code, 0);

      const [a1, b1, c1] = ends as [(typeof ends)[0], (typeof ends)[0], (typeof ends)[0]];
      const running = await traffic(cluster, [
        { from: a1, to: b1, family: 4 },
        { from: b1, to: c1, family: 6 },
        { from: c1, to: a1, family: 4 },
      ]);
      const before = await pairs(cluster.a);
      const rekeyed = await cluster.a.json<{ rekeyed: boolean; generation: number }[]>('rekey');
      assert.deepEqual(
        rekeyed.map(({ rekeyed, generation }, i) => rekeyed && generation > (before[i]?.generation ?? 0)),
        [true, true],
      );
      await cluster.b.killAgent();
      await cluster.b.startAgent();
      assert.ok((await pairs(cluster.b)).every(({ up }) => up));
      await complete(cluster, running, 50);
      for (const [host, name] of [
        [cluster.b, 'b2'],
        [cluster.a, 'a2'],
      ] as const)
        await host.json(`detach open/${name}`);
    });
    assert.equal(seen.clear, 0);
    assert.ok(seen.esp > 300 && seen.plain > 5, JSON.stringify(seen));
    for (const host of cluster.hosts) assert.deepEqual(await refusals(host), {}, host.name);
  });

  test('lists and status show the pair: cipher, generation, fingerprint, packets', async () => {
    const [, b] = await cluster.a.json<NodeJson[]>('node ls');
    const { cipher, encap, generation, rekeyedAt, fingerprint } = b?.encryption ?? assert.fail();
    assert.match(`${cipher}`, /^(aes-256-gcm|chacha20-poly1305)$/);
    assert.equal(encap, 'esp');
    assert.ok((generation ?? 0) >= 2 && Date.parse(`${rekeyedAt}`) > Date.now() - 60_000);
    const [own] = (await cluster.b.json<NodeJson[]>('node ls')).filter(({ name }) => name === 'b');
    assert.equal(own?.encryption.fingerprint, fingerprint, 'what a has pinned is what b says of itself');
    const pair = (await pairs(cluster.a)).find(({ node }) => node === 'b');
    assert.ok(pair && pair.sent.packets > 0 && pair.received.packets > 0 && pair.errors === 0, JSON.stringify(pair));
  });

  test('packets of exactly the MTU pass unfragmented, one byte more does not', async () => {
    const [a1, b1] = ends;
    for (const [address, headers] of [
      [b1?.addresses[0], 28],
      [b1?.addresses[1], 48],
    ] as const) {
      const fits = await cluster.a.inside('a1', `ping -n -c1 -W2 -M do -s ${1416 - headers} ${address}`);
      assert.equal(fits.code, 0, fits.stdout + fits.stderr);
      const more = await cluster.a.inside('a1', `ping -n -c1 -W2 -M do -s ${1416 - headers + 1} ${address}`);
      assert.notEqual(more.code, 0);
    }
    assert.ok(a1);
    // By family: the summary counts AccECN's, too, which does nothing by itself (native/ops/offload.h).
    const offloads = await cluster.a.guest.ok('ip netns exec warren-1048576 ethtool -k vx0');
    for (const family of ['tcp', 'tcp6']) assert.match(offloads, new RegExp(`tx-${family}-segmentation: off`));
  });

  test('no key of the kernel is in the store, a log, an argument, an environment or a file', async () => {
    for (const host of cluster.hosts) {
      const text = await host.guest.ok('ip xfrm state');
      const keys = [...text.matchAll(/aead \S+ 0x([0-9a-f]{72})/g)].map(([, hex]) => Buffer.from(hex ?? '', 'hex'));
      assert.ok(keys.length >= 4, `${keys.length} keys`);
      const secrets = keys.flatMap((key) => [key, key.subarray(0, 32)]);
      await host.guest.write(
        '/run/needles',
        secrets
          .flatMap((key) => [key.toString('hex'), key.toString('base64').replace(/=+$/, '').slice(0, 40)])
          .join('\n'),
      );
      const places = '/var/lib/warren /etc/warren /run/warren /lab/*.agent';
      assert.equal(await host.guest.ok(`grep -rliaFf /run/needles ${places} || true`), '');
      const processes =
        'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n" | grep -iaFcf /run/needles';
      assert.equal((await host.guest.ok(`${processes} || true`)).trim(), '0');
      // In raw bytes, too: what is agreed is kept in /run, and the cached view on disk. The control is found.
      for (const key of secrets.slice(0, 4)) {
        const pattern = [...withoutLines(key)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('');
        await host.guest.write('/run/control', key);
        const found = await host.guest.ok(`LC_ALL=C grep -rlaP '${pattern}' /run/control /var/lib/warren /run/warren`);
        assert.equal(found, '/run/control\n');
      }
      await host.guest.write(
        '/run/dump.sh',
        [
          'for key in $(redis-cli -h 10.77.0.1 --scan); do',
          '  case $(redis-cli -h 10.77.0.1 type $key) in',
          '    hash) redis-cli -h 10.77.0.1 hgetall $key;; string) redis-cli -h 10.77.0.1 get $key;;',
          '    stream) redis-cli -h 10.77.0.1 xrange $key - +;; zset) redis-cli -h 10.77.0.1 zrange $key 0 -1;;',
          '    set) redis-cli -h 10.77.0.1 smembers $key;;',
          '  esac',
          'done',
        ].join('\n'),
      );
      const dump = await host.guest.ok(
        'sh /run/dump.sh > /run/dump; wc -c < /run/dump; grep -c "warren announcement" /run/dump',
      );
      assert.match(dump, /^\d{4,}\n\d+\n/, 'the dump has what is looked through');
      assert.equal(await host.guest.ok('grep -iaFcf /run/needles /run/dump || true'), '0\n');
    }
  });

  test('a core dump of the agent has neither a key nor its identity in it; one of all its memory has', async () => {
    const { guest } = cluster.a;
    const text = await guest.ok('ip xfrm state');
    const keys = [...text.matchAll(/aead \S+ 0x([0-9a-f]{64})/g)].map(([, hex]) => hex ?? '');
    const identity = (await guest.ok('tail -c 32 /var/lib/warren/identity.key | od -An -tx1')).replace(/\s/g, '');
    assert.ok(keys.length >= 4 && identity.length === 64);
    await guest.write('/run/find.py', find);
    await guest.ok('echo /lab/core.%p > /proc/sys/kernel/core_pattern');
    const dumpBy = async (signal: string): Promise<{ size: number; found: string[] }> => {
      const { pid } = (await cluster.a.status()).agent;
      await guest.ok(`prlimit --pid ${pid} --core=unlimited:unlimited`);
      if (signal === 'ABRT') await guest.ok(`echo 0x33 > /proc/${pid}/coredump_filter`); // core(5): what others have
      await cluster.a.killAgent(signal);
      const core = `/lab/core.${pid}`;
      const size = Number(await guest.ok(`stat -c %s ${core}`));
      const found = (await guest.ok(`python3 /run/find.py ${core} ${[...keys, identity].join(' ')}`)).split('\n');
      await guest.ok(`rm ${core}`);
      await cluster.a.startAgent();
      return { size, found: found.filter((each) => each !== '') };
    };
    for (const signal of ['QUIT', 'SEGV']) {
      const { size, found } = await dumpBy(signal);
      assert.ok(size > 1000, `a core of ${size} bytes`);
      assert.deepEqual(found, [], signal);
    }
    const whole = await dumpBy('ABRT');
    assert.ok(whole.size > 1e7 && whole.found.includes(identity), 'the search finds what is there');
    assert.deepEqual(whole.found, [identity], 'keys are wiped when the kernel has them');
  });

  test('a host that may use one cipher only, and changes keys every ten seconds: so do its pairs, and nothing is lost', async () => {
    const [a1, b1, c1] = ends as [(typeof ends)[0], (typeof ends)[0], (typeof ends)[0]];
    const running = await traffic(cluster, [
      { from: c1, to: a1, family: 4 },
      { from: b1, to: c1, family: 6 },
    ]);
    await cluster.c.stopAgent();
    await cluster.c.startAgent('--cipher aes-256-gcm --rekey-interval 10');
    const ciphers = async () => (await pairs(cluster.b)).map(({ node, cipher }) => `${node} ${cipher}`);
    await waitFor(async () => (await ciphers()).includes('c aes-256-gcm'), { what: 'b to use AES with c' });
    const generation = async () => (await pairs(cluster.b)).find(({ node }) => node === 'c')?.generation ?? 0;
    const before = await generation();
    await waitFor(async () => (await generation()) > before, { what: 'new keys by time', timeout: 14_000 });
    await complete(cluster, running, 50);
  });

  test('after the last endpoint nothing of IPsec is left', async () => {
    for (const { host, name } of ends) await host.json(`detach ${name}`);
    for (const host of cluster.hosts)
      await waitFor(async () => (await host.guest.ok('ip xfrm state; ip xfrm policy; nft list ruleset')) === '', {
        what: `${host.name}'s policies, SAs and guard to go`,
      });
    assert.deepEqual(await cluster.a.json('rekey'), []);
  });
});
