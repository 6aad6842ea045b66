import assert from 'node:assert/strict';
import type { Fdb, Neigh } from '../../src/kernel/state.ts';
import { bridge, inside, ip, kernelTest, mac, plain, refuses, vxlan } from '../support/netns.ts';

const protocol = 201;

kernelTest('neighbours: set twice, moved, listed alike by ip, deleted, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  await kernel.apply(ns, [{ op: 'link.add', link: { ...vxlan('vx0'), up: true } }]);
  const neighs: Neigh[] = [
    { dev: 'vx0', dst: '10.9.0.12', lladdr: mac(12), protocol },
    { dev: 'vx0', dst: 'fd00:9::12', lladdr: mac(12), protocol },
    { dev: 'vx0', dst: '10.9.0.13', lladdr: mac(13) },
  ];
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      neighs.map((neigh) => ({ op: 'neigh.set', neigh })),
    );
    const read = (await kernel.read(ns, { neighs: true })).neighs;
    assert.deepEqual(new Set(read), new Set(neighs));
  }
  const theirs = ip(ns, 'neigh', 'show', 'nud', 'permanent');
  assert.deepEqual(theirs.map((n) => `${n.dst} ${n.lladdr}`).sort(), neighs.map((n) => `${n.dst} ${n.lladdr}`).sort());

  const moved = { ...neighs[0], lladdr: mac(99) } as Neigh;
  await kernel.apply(ns, [{ op: 'neigh.set', neigh: moved }]);
  assert.ok((await kernel.read(ns, { neighs: true })).neighs.some((n) => n.dst === moved.dst && n.lladdr === mac(99)));

  // What the kernel resolves by itself is not ours to list.
  inside(ns, 'ip', 'neigh', 'add', '10.9.0.77', 'lladdr', mac(77), 'dev', 'vx0', 'nud', 'stale');
  assert.equal((await kernel.read(ns, { neighs: true })).neighs.length, 3);
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      neighs.map((neigh) => ({ op: 'neigh.del', neigh })),
    );
    assert.deepEqual((await kernel.read(ns, { neighs: true })).neighs, []);
  }
  await kernel.apply(ns, [{ op: 'neigh.del', neigh: { ...moved, dev: 'nobody' } }]);
  await refuses(kernel.apply(ns, [{ op: 'neigh.set', neigh: { ...moved, dev: 'nobody' } }]), {
    code: 'ENODEV',
    index: 0,
  });
});

kernelTest(
  'fdb: own table and bridge table, set twice, moved, listed alike by bridge, deleted, gone',
  async ({ kernel, netns }) => {
    const ns = await netns();
    const entries: Fdb[] = [
      { dev: 'vx0', lladdr: mac(12), via: 'self', dst: '192.0.2.2', externLearn: true },
      { dev: 'vx0', lladdr: mac(12), via: 'master', externLearn: true },
      { dev: 'vx0', lladdr: mac(13), via: 'self', dst: '192.0.2.3' },
      { dev: 'd0', lladdr: mac(14), via: 'master' },
      { dev: 'vx0', lladdr: '00:00:00:00:00:00', via: 'self', dst: '192.0.2.4' },
    ];
    await kernel.apply(ns, [
      { op: 'link.add', link: { name: 'br0', kind: 'bridge', up: true } },
      { op: 'link.add', link: { ...vxlan('vx0'), up: true, master: 'br0' } },
      { op: 'link.add', link: { name: 'd0', kind: plain, up: true, master: 'br0' } },
    ]);
    assert.deepEqual(
      (await kernel.read(ns, { fdb: true })).fdb,
      [],
      'own addresses and multicast lists are not entries',
    );
    for (let twice = 0; twice < 2; twice++) {
      await kernel.apply(
        ns,
        entries.map((fdb) => ({ op: 'fdb.set', fdb })),
      );
      assert.deepEqual(new Set((await kernel.read(ns, { fdb: true })).fdb), new Set(entries));
    }
    const theirs = bridge(ns, 'fdb').filter((e) => entries.some(({ lladdr }) => lladdr === e.mac));
    assert.deepEqual(
      theirs.map((e) => `${e.mac} ${e.ifname} ${e.dst ?? e.master} ${e.flags.includes('extern_learn')}`).sort(),
      entries.map((e) => `${e.lladdr} ${e.dev} ${e.dst ?? 'br0'} ${e.externLearn ?? false}`).sort(),
    );
    const moved: Fdb = { dev: 'vx0', lladdr: mac(12), via: 'self', dst: '192.0.2.9', externLearn: true };
    await kernel.apply(ns, [{ op: 'fdb.set', fdb: moved }]);
    const now = (await kernel.read(ns, { fdb: true })).fdb.filter((e) => e.lladdr === mac(12) && e.via === 'self');
    assert.deepEqual(now, [moved]);
    for (let twice = 0; twice < 2; twice++) {
      await kernel.apply(
        ns,
        [...entries.slice(1), moved].map((fdb) => ({ op: 'fdb.del', fdb })),
      );
      assert.deepEqual((await kernel.read(ns, { fdb: true })).fdb, []);
    }
  },
);

kernelTest(
  'a thousand neighbours and fdb entries in one apply; the first failure is named',
  async ({ kernel, netns }) => {
    const ns = await netns();
    await kernel.apply(ns, [{ op: 'link.add', link: { ...vxlan('vx0'), up: true } }]);
    const many = Array.from({ length: 1000 }, (_, i) => i);
    const fdb = many.map(
      (i): Fdb => ({ dev: 'vx0', lladdr: mac(i + 1), via: 'self', dst: '192.0.2.2', externLearn: true }),
    );
    const neighs = many.map(
      (i): Neigh => ({ dev: 'vx0', dst: `10.9.${i >> 8}.${i & 255}`, lladdr: mac(i + 1), protocol }),
    );
    await kernel.apply(ns, [
      ...fdb.map((fdb) => ({ op: 'fdb.set', fdb }) as const),
      ...neighs.map((neigh) => ({ op: 'neigh.set', neigh }) as const),
    ]);
    const state = await kernel.read(ns, { fdb: true, neighs: true });
    assert.deepEqual(new Set(state.fdb), new Set(fdb));
    assert.deepEqual(new Set(state.neighs), new Set(neighs));
    // d0 has no bridge, so its 'master' entry fails, in the middle of a batch; a deletion of something absent is no failure.
    await kernel.apply(ns, [{ op: 'link.add', link: { name: 'd0', kind: plain } }]);
    const bad: Fdb = { dev: 'd0', lladdr: mac(5), via: 'master' };
    const ops = fdb.map((fdb, i) => ({ op: 'fdb.set', fdb: i === 700 || i === 900 ? bad : fdb }) as const);
    await refuses(kernel.apply(ns, ops), { op: 'fdb.set', index: 700, code: 'EOPNOTSUPP' });
    await kernel.apply(
      ns,
      [...neighs, ...neighs].map((neigh) => ({ op: 'neigh.del', neigh })),
    );
    assert.deepEqual((await kernel.read(ns, { neighs: true })).neighs, []);
  },
);
