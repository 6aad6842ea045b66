import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { Hint, Netns, Noun, Sa, SaExpire } from '../../src/kernel/state.ts';
import { Secret } from '../../src/model/secret.ts';
import { eventually, inside, kernelTest, refuses } from '../support/netns.ts';
import {
  arrived,
  chacha,
  flow,
  four,
  gcm,
  inUdp,
  key,
  ping,
  policy,
  protect,
  refused,
  reqid,
  sa,
  six,
  type Wire,
  wire,
} from '../support/xfrm.ts';

/** The same key for both hosts. */
function twice(secret: Secret): [Secret, Secret] {
  return [new Secret(secret.reveal().slice()), secret];
}

/** ESP between the two ends of a wire. */
async function protectBoth(
  kernel: Kernel,
  ends: readonly [Netns, Netns],
  addresses: readonly [string, string],
  spi: number,
  more: Partial<Sa> = {},
): Promise<void> {
  const [out, back] = [twice(key()), twice(key())];
  for (const self of [0, 1] as const) {
    await kernel.apply(ends[self], protect(self, addresses, spi, [out[self], back[self]], more));
  }
}

const less = (a: Wire, b: Wire): Wire => ({ clear: a.clear - b.clear, esp: a.esp - b.esp, udp: a.udp - b.udp });

async function sas(kernel: Kernel, ns: Netns): Promise<Map<number, Sa>> {
  return new Map((await kernel.read(ns, { sas: true })).sas.map((sa) => [sa.spi, sa]));
}

for (const [name, addresses] of Object.entries({ IPv4: four, IPv6: six })) {
  for (const aead of [gcm, chacha]) {
    kernelTest(`ping through ESP, ${name}, ${aead.name}: nothing in the clear`, async ({ kernel, netns }) => {
      const ends = await wire(kernel, netns);
      const [a, b] = ends;
      assert.equal(ping(a, addresses[1]), 3);
      const clear = arrived(b);
      assert.deepEqual(clear, { clear: 3, esp: 0, udp: 0 }, 'without IPsec it is seen');

      for (const self of [0, 1] as const) {
        await kernel.apply(ends[self], [
          { op: 'policy.set', policy: policy(self === 0 ? 'out' : 'in', addresses[0], addresses[1]) },
          { op: 'policy.set', policy: policy(self === 0 ? 'in' : 'out', addresses[1], addresses[0]) },
        ]);
      }
      assert.equal(ping(a, addresses[1], 1), 0, 'a policy without an SA lets nothing out');
      assert.deepEqual(arrived(b), clear);
      assert.ok(((await refused(kernel, a)).XfrmOutNoStates ?? 0) > 0);
      const before = await refused(kernel, a);

      await protectBoth(kernel, ends, addresses, 0x1001, { aead });
      assert.equal(ping(a, addresses[1], 5), 5);
      assert.deepEqual(less(arrived(b), clear), { clear: 0, esp: 5, udp: 0 });
      assert.deepEqual(await refused(kernel, a), before);
      assert.deepEqual(await refused(kernel, b), {});
      const [there, here] = [await sas(kernel, b), await sas(kernel, a)];
      const [sent, came] = [here.get(0x1001)?.counters, there.get(0x1001)?.counters];
      // 64 bytes of ICMP each, and outwards the IP header too.
      assert.deepEqual([sent?.packets, sent?.oseq, sent?.seq], [5, 5, 0]);
      assert.deepEqual([came?.packets, came?.seq, came?.oseq], [5, 5, 0]);
      assert.ok(came && sent && came.bytes >= 5 * 64 && sent.bytes >= 5 * 64, `${came?.bytes} ${sent?.bytes}`);
      assert.ok(came.useTime !== undefined && Math.abs(came.useTime - Date.now() / 1000) < 60);
      assert.match(inside(b, 'ip', '-s', 'xfrm', 'state'), new RegExp(`${came.bytes}\\(bytes\\), 5\\(packets\\)`));
    });
  }
}

kernelTest("a key that is not the other end's is refused there, and counted", async ({ kernel, netns }) => {
  const ends = await wire(kernel, netns);
  await protectBoth(kernel, ends, four, 0x1001);
  await kernel.apply(ends[1], [
    { op: 'sa.del', sa: { dst: four[1], spi: 0x1001 } },
    { op: 'sa.add', sa: sa(...four, 0x1001), key: key() },
  ]);
  assert.equal(ping(ends[0], four[1]), 0);
  assert.deepEqual(await refused(kernel, ends[1]), { XfrmInStateProtoError: 3 });
  const counters = (await sas(kernel, ends[1])).get(0x1001)?.counters;
  assert.deepEqual([counters?.integrityFailed, counters?.replay, counters?.replayWindow], [3, 0, 0]);
  // What comes in the clear is refused as well.
  await kernel.apply(ends[0], [{ op: 'policy.del', policy: flow('out', ...four) }]);
  assert.equal(ping(ends[0], four[1]), 0);
  assert.deepEqual(await refused(kernel, ends[1]), { XfrmInStateProtoError: 3, XfrmInTmplMismatch: 3 });
});

kernelTest('replayed packets are refused, and counted', async ({ kernel, netns }) => {
  const ends = await wire(kernel, netns);
  const [out, back] = [twice(key(1)), twice(key(2))];
  for (const self of [0, 1] as const)
    await kernel.apply(ends[self], protect(self, four, 0x1001, [out[self], back[self]]));
  assert.equal(ping(ends[0], four[1]), 3);
  // Added anew with the key it had, the sender counts from 1 again: what nobody may do, and here a replay.
  await kernel.apply(ends[0], [
    { op: 'sa.del', sa: { dst: four[1], spi: 0x1001 } },
    { op: 'sa.add', sa: sa(...four, 0x1001), key: key(1) },
  ]);
  assert.equal(ping(ends[0], four[1], 2), 0);
  const counters = (await sas(kernel, ends[1])).get(0x1001)?.counters;
  assert.deepEqual([counters?.replay, counters?.replayWindow, counters?.integrityFailed], [2, 0, 0]);
  assert.deepEqual(await refused(kernel, ends[1]), { XfrmInStateSeqError: 2 });
});

kernelTest(
  'update: limits change, sequence numbers and counters go on, and the key given is forgotten',
  async ({ kernel, netns }) => {
    const ends = await wire(kernel, netns);
    await protectBoth(kernel, ends, four, 0x1001);
    assert.equal(ping(ends[0], four[1]), 3);
    const before = (await sas(kernel, ends[0])).get(0x1001);
    const wanted = sa(...four, 0x1001, { soft: { packets: 1000 }, reqid: 5, replayWindow: 64 });
    await kernel.apply(ends[0], [{ op: 'sa.update', sa: wanted, key: key() }]);
    const after = (await sas(kernel, ends[0])).get(0x1001);
    assert.deepEqual(after, { ...before, soft: { packets: 1000 } });
    assert.equal(after?.counters?.oseq, 3);
    assert.equal(ping(ends[0], four[1], 2), 2, 'it still has its own key');
    assert.equal((await sas(kernel, ends[0])).get(0x1001)?.counters?.oseq, 5);
  },
);

kernelTest('the policy names the SA to send by, and moves to another without loss', async ({ kernel, netns }) => {
  const ends = await wire(kernel, netns);
  await protectBoth(kernel, ends, four, 0x1001);
  const next = twice(key());
  for (const self of [1, 0] as const) {
    await kernel.apply(ends[self], [{ op: 'sa.add', sa: sa(...four, 0x3001), key: next[self] }]);
  }
  const packets = async () => {
    const found = await sas(kernel, ends[0]);
    return [found.get(0x1001)?.counters?.packets, found.get(0x3001)?.counters?.packets];
  };
  assert.equal(ping(ends[0], four[1]), 3);
  assert.deepEqual(await packets(), [3, 0]);
  await kernel.apply(ends[0], [{ op: 'policy.set', policy: policy('out', ...four, 0x3001) }]);
  assert.equal(ping(ends[0], four[1], 2), 2);
  assert.deepEqual(await packets(), [3, 2]);
});

kernelTest('an SA for one direction is of no use in the other', async ({ kernel, netns }) => {
  const ends = await wire(kernel, netns);
  const [out, back] = [twice(key()), twice(key())];
  const { replayWindow: _, ...sends } = sa(...four, 0x1001, { dir: 'out' });
  const { replayWindow: __, ...answers } = sa(four[1], four[0], 0x1002, { dir: 'out' });
  const ins = [sa(four[1], four[0], 0x1002, { dir: 'in' }), sa(...four, 0x1001, { dir: 'in' })] as const;
  for (const self of [0, 1] as const) {
    const [tx, rx] = self === 0 ? [out[0], back[0]] : [back[1], out[1]];
    const both = protect(self, four, 0x1001, [key(), key()]).filter(({ op }) => op === 'policy.set');
    await kernel.apply(ends[self], [
      { op: 'sa.add', sa: self === 0 ? sends : answers, key: tx },
      { op: 'sa.add', sa: ins[self], key: rx },
      ...both,
    ]);
  }
  assert.equal(ping(ends[0], four[1]), 3);
  assert.equal((await sas(kernel, ends[0])).get(0x1001)?.counters?.oseq, 3);
  await kernel.apply(ends[0], [
    { op: 'sa.del', sa: sends },
    { op: 'sa.add', sa: sa(...four, 0x1001, { dir: 'in' }), key: key() },
  ]);
  assert.equal(ping(ends[0], four[1], 1), 0);
});

for (const [name, addresses] of Object.entries({ IPv4: four, IPv6: six })) {
  kernelTest(`ping through ESP in UDP, ${name}: while the sockets are open`, async ({ kernel, netns, defer }) => {
    const ends = await wire(kernel, netns);
    const [a, b] = ends;
    const any = name === 'IPv4' ? '0.0.0.0' : '::';
    await protectBoth(kernel, ends, addresses, 0x1001, { encap: inUdp });
    const sent = arrived(b);
    assert.equal(ping(a, addresses[1], 1), 0, 'without a socket nobody takes it');
    // More than one: "port unreachable" is ICMP, so it goes through ESP itself, and is as unwelcome.
    assert.ok(less(arrived(b), sent).udp > 0);
    // A plain UDP socket takes the packet, but does not give it to IPsec.
    const deaf = await kernel.socket(b, 'udp', any, 4500);
    assert.equal(ping(a, addresses[1], 1), 0);
    closeSync(deaf);
    for (const ns of ends) {
      const fd = await kernel.socket(ns, 'espinudp', any, 4500);
      defer(() => closeSync(fd));
    }
    const before = arrived(b);
    assert.equal(ping(a, addresses[1]), 3);
    assert.deepEqual(less(arrived(b), before), { clear: 0, esp: 0, udp: 3 });
    assert.deepEqual([await refused(kernel, a), await refused(kernel, b)], [{}, {}]);
    await refuses(kernel.socket(b, 'espinudp', any, 4500), { op: 'socket', code: 'EADDRINUSE' });

    // A NAT that has moved the other end's port: the SA follows in place.
    const moved = sa(addresses[1], addresses[0], 0x1002, { encap: { sport: 4500, dport: 4501 } });
    await kernel.apply(b, [{ op: 'sa.update', sa: moved, key: key() }]);
    assert.deepEqual((await sas(kernel, b)).get(0x1002)?.encap, moved.encap);
    assert.equal(ping(a, addresses[1], 1), 0, 'answers go where nobody listens');
    const fd = await kernel.socket(a, 'espinudp', any, 4501);
    defer(() => closeSync(fd));
    assert.equal(ping(a, addresses[1]), 3);
  });
}

/** Hints in the background. */
function listen(kernel: Kernel, netns: Netns, nouns: Noun[]) {
  const abort = new AbortController();
  const heard = { hints: 0, expired: [] as SaExpire[], done: Promise.resolve(), stop: () => heard.done };
  heard.done = (async () => {
    for await (const hint of kernel.watch(netns, nouns, abort.signal) as AsyncIterable<Hint>) {
      heard.hints++;
      heard.expired.push(...hint.expired);
    }
  })();
  heard.stop = () => {
    abort.abort();
    return heard.done;
  };
  return heard;
}

kernelTest('each noun hints at its own changes, flushes included', async ({ kernel, netns }) => {
  const ns = await netns();
  const one = sa(...four, 0x1001);
  const two = policy('out', ...four);
  const changes: [Noun, string, () => unknown][] = [
    ['sas', 'add', () => kernel.apply(ns, [{ op: 'sa.add', sa: one, key: key() }])],
    ['sas', 'update', () => kernel.apply(ns, [{ op: 'sa.update', sa: one, key: key() }])],
    ['sas', 'del', () => kernel.apply(ns, [{ op: 'sa.del', sa: one }])],
    ['sas', 'add again', () => kernel.apply(ns, [{ op: 'sa.add', sa: one, key: key() }])],
    ['sas', 'flush', () => inside(ns, 'ip', 'xfrm', 'state', 'flush')],
    ['policies', 'add', () => kernel.apply(ns, [{ op: 'policy.add', policy: two }])],
    ['policies', 'set', () => kernel.apply(ns, [{ op: 'policy.set', policy: two }])],
    ['policies', 'del', () => kernel.apply(ns, [{ op: 'policy.del', policy: two }])],
    ['policies', 'add again', () => kernel.apply(ns, [{ op: 'policy.add', policy: two }])],
    ['policies', 'flush', () => inside(ns, 'ip', 'xfrm', 'policy', 'flush')],
    [
      'policies',
      'expiry',
      () =>
        inside(
          ns,
          'ip',
          'xfrm',
          'policy',
          'add',
          'src',
          four[0],
          'dst',
          four[1],
          'dir',
          'out',
          'limit',
          'time-hard',
          '1',
        ),
    ],
  ];
  const heard = { sas: listen(kernel, ns, ['sas']), policies: listen(kernel, ns, ['policies']) };
  await kernel.read(ns, { links: true }); // behind the watches in the queue: they are open now
  for (const [noun, what, change] of changes) {
    const [mine, other] = noun === 'sas' ? [heard.sas, heard.policies] : [heard.policies, heard.sas];
    const [before, others] = [mine.hints, other.hints];
    await change();
    await eventually(() => assert.ok(mine.hints > before, `${noun} ${what}`));
    assert.equal(other.hints, others, `${noun} ${what} is no news for the other`);
  }
  const added = heard.policies.hints;
  await eventually(async () => assert.deepEqual((await kernel.read(ns, { policies: true })).policies, []));
  await eventually(() => assert.ok(heard.policies.hints > added, 'a policy that has expired'));
  assert.deepEqual([heard.sas.expired, heard.policies.expired], [[], []]);
  await Promise.all([heard.sas.stop(), heard.policies.stop()]);
});

kernelTest(
  'what expires is told: soft while it goes on, hard when it is gone; others do not hear it',
  async ({ kernel, netns }) => {
    const ends = await wire(kernel, netns);
    const heard = listen(kernel, ends[0], ['sas']);
    const others = listen(kernel, ends[0], ['policies']);
    await kernel.read(ends[0], { links: true });
    await protectBoth(kernel, ends, four, 0x1001);
    const limited = sa(...four, 0x1001, { soft: { packets: 2 }, hard: { packets: 4 } });
    await kernel.apply(ends[0], [{ op: 'sa.update', sa: limited, key: key() }]);
    const id = { dst: four[1], spi: 0x1001, reqid };
    assert.equal(ping(ends[0], four[1], 1), 1);
    const policyHints = others.hints;
    assert.deepEqual(heard.expired, []);
    assert.equal(ping(ends[0], four[1], 2), 2);
    await eventually(() => assert.deepEqual(heard.expired, [{ ...id, hard: false }]));
    assert.ok((await sas(kernel, ends[0])).has(0x1001));
    ping(ends[0], four[1], 3);
    await eventually(() => assert.deepEqual(heard.expired.at(-1), { ...id, hard: true }));
    assert.equal(heard.expired.length, 2);
    await eventually(async () => assert.ok(!(await sas(kernel, ends[0])).has(0x1001), 'it to go'));

    // By the clock, without a packet, and IPv6; many at once are all told.
    heard.expired.length = 0;
    const timed = Array.from({ length: 100 }, (_, i) => sa(...six, 0x5000 + i, { soft: { seconds: 1 } }));
    await kernel.apply(
      ends[0],
      timed.map((sa) => ({ op: 'sa.add', sa, key: key() })),
    );
    await eventually(() => assert.equal(heard.expired.length, timed.length));
    assert.deepEqual(new Set(heard.expired), new Set(timed.map(({ dst, spi }) => ({ dst, spi, reqid, hard: false }))));
    assert.deepEqual([others.hints, others.expired], [policyHints, []]);
    await Promise.all([heard.stop(), others.stop()]);
  },
);
