import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { host, type Netns, type News, type Noun } from '../../src/kernel/state.ts';
import { eventually, inside, kernelTest, mac, nameOf, plain, refuses, vxlan } from '../support/netns.ts';

/** Counts hints in the background. */
function listen(kernel: Kernel, netns: Netns, nouns: Noun[]) {
  const abort = new AbortController();
  const heard = { hints: 0, over: false, abort, done: Promise.resolve() };
  heard.done = (async () => {
    for await (const _ of kernel.watch(netns, nouns, abort.signal)) heard.hints++;
    heard.over = true;
  })();
  return heard;
}

kernelTest('each noun hints at its own changes, and ends on abort', async ({ kernel, netns }) => {
  const ns = await netns();
  await kernel.apply(ns, [
    { op: 'link.add', link: { name: 'br0', kind: 'bridge', up: true } },
    { op: 'link.add', link: { ...vxlan('vx0'), up: true, master: 'br0' } },
  ]);
  const changes: [Noun, () => Promise<void>][] = [
    ['links', () => kernel.apply(ns, [{ op: 'link.add', link: { name: 'd0', kind: plain } }])],
    ['addrs', () => kernel.apply(ns, [{ op: 'addr.set', addr: { dev: 'br0', address: '10.9.0.1/16' } }])],
    ['routes', () => kernel.apply(ns, [{ op: 'route.set', route: { dst: '10.8.0.0/16', dev: 'br0' } }])],
    ['rules', () => kernel.apply(ns, [{ op: 'rule.set', rule: { family: 4, priority: 9, table: 9 } }])],
    ['neighs', () => kernel.apply(ns, [{ op: 'neigh.set', neigh: { dev: 'vx0', dst: '10.9.0.2', lladdr: mac(2) } }])],
    [
      'fdb',
      () => kernel.apply(ns, [{ op: 'fdb.set', fdb: { dev: 'vx0', lladdr: mac(2), via: 'self', dst: '192.0.2.2' } }]),
    ],
    ['nft', async () => void inside(ns, 'nft', 'add', 'table', 'inet', 'x')],
  ];
  for (const [noun, change] of changes) {
    const heard = listen(kernel, ns, [noun]);
    // Watching begins a moment after the call: change until it is heard.
    await eventually(async () => {
      if (noun === 'nft') await change();
      else await undoAndDo(kernel, ns, noun, change);
      await eventually(() => assert.ok(heard.hints > 0, noun), 100);
    });
    heard.abort.abort();
    await heard.done;
  }
});

async function undoAndDo(kernel: Kernel, ns: Netns, noun: Noun, change: () => Promise<void>): Promise<void> {
  if (noun === 'links') await kernel.apply(ns, [{ op: 'link.del', name: 'd0' }]);
  if (noun === 'addrs') await kernel.apply(ns, [{ op: 'addr.del', addr: { dev: 'br0', address: '10.9.0.1/16' } }]);
  if (noun === 'routes') await kernel.apply(ns, [{ op: 'route.del', route: { dst: '10.8.0.0/16' } }]);
  if (noun === 'rules') await kernel.apply(ns, [{ op: 'rule.del', rule: { family: 4, priority: 9, table: 9 } }]);
  if (noun === 'neighs')
    await kernel.apply(ns, [{ op: 'neigh.del', neigh: { dev: 'vx0', dst: '10.9.0.2', lladdr: mac(2) } }]);
  if (noun === 'fdb') await kernel.apply(ns, [{ op: 'fdb.del', fdb: { dev: 'vx0', lladdr: mac(2), via: 'self' } }]);
  await change();
}

kernelTest('a thousand changes are few hints; neighbours are not fdb entries', async ({ kernel, netns }) => {
  const ns = await netns();
  await kernel.apply(ns, [{ op: 'link.add', link: { ...vxlan('vx0'), up: true } }]);
  const [neighs, fdb] = [listen(kernel, ns, ['neighs']), listen(kernel, ns, ['fdb'])];
  await kernel.read(ns, { links: true }); // behind the watches in the queue: they are open now
  const many = Array.from({ length: 1000 }, (_, i) => ({
    dev: 'vx0',
    dst: `10.9.${i >> 8}.${i & 255}`,
    lladdr: mac(1),
  }));
  await kernel.apply(
    ns,
    many.map((neigh) => ({ op: 'neigh.set', neigh })),
  );
  await eventually(() => assert.ok(neighs.hints > 0, 'a hint at neighbours'));
  assert.ok(neighs.hints < 500, `${neighs.hints} hints for 1000 changes`);
  assert.equal(fdb.hints, 0);
  neighs.abort.abort();
  fdb.abort.abort();
  await Promise.all([neighs.done, fdb.done]);
});

kernelTest(
  'a watch does not keep its namespace: it ends when the name goes, and on abort',
  async ({ kernel, netns }) => {
    const [ns, container] = [await netns(), await netns()];
    const peer = { name: 'eth0', netns: container };
    await kernel.apply(ns, [{ op: 'link.add', link: { name: 'w1', kind: 'veth', veth: { peer } } }]);
    const heard = listen(kernel, container, ['links']);
    await kernel.read(container, { links: true });
    execFileSync('ip', ['netns', 'del', nameOf(container)]);
    await heard.done;
    // With the namespace its half of the veth pair goes, and with that ours.
    await eventually(async () => assert.equal((await kernel.read(ns, { links: true })).links.length, 1));
  },
);

kernelTest('watching what is not there, and after the fact', async ({ kernel }) => {
  const nowhere = { path: '/run/netns/nobody' };
  const first = (netns: Netns, signal: AbortSignal) =>
    kernel.watch(netns, ['links'], signal)[Symbol.asyncIterator]().next();
  await refuses(first(nowhere, new AbortController().signal), { code: 'ENOENT', op: 'watch' });
  assert.deepEqual(await first(host, AbortSignal.abort()), { done: true, value: undefined });
  const abort = new AbortController();
  const pending = first(host, abort.signal);
  abort.abort();
  assert.equal((await pending).done, true);
});

kernelTest('closing the kernel ends its own watches', async ({ kernel, netns }) => {
  const ns = await netns();
  const { openKernel } = await import('../../src/kernel/native.ts');
  const other = openKernel();
  const heard = listen(other, ns, ['links', 'nft']);
  const mine = listen(kernel, ns, ['links']);
  await other.read(ns, { links: true });
  await other.close();
  await heard.done;
  assert.equal(mine.over, false, 'those of others go on');
  mine.abort.abort();
  await mine.done;
  await assert.rejects(other.read(ns, { links: true }), /closed/);
  assert.equal((await kernel.read(ns, { links: true })).links.length, 1);
});

kernelTest('news tell what an object is now, in the namespaces links lead to as well', async ({ kernel, netns }) => {
  const [ns, container] = [await netns(), await netns()];
  await kernel.apply(ns, [{ op: 'link.add', link: { name: 'br0', kind: 'bridge', up: true } }]);
  const news: News[] = [];
  const ruled = new Set<number>();
  const abort = new AbortController();
  const done = (async () => {
    const nouns: Noun[] = ['links', 'addrs', 'routes', 'neighs', 'fdb', 'nft'];
    for await (const hint of kernel.watch(ns, nouns, abort.signal)) {
      assert.equal(hint.vague, false);
      news.push(...hint.news);
      for (const nsid of hint.ruled) ruled.add(nsid);
    }
  })();
  const told = (which: (each: News) => boolean) => eventually(() => assert.ok(news.some(which), JSON.stringify(news)));
  await told(({ noun, item }) => noun === 'links' && item.name === 'br0' && item.up === true);
  const peer = { name: 'eth0', netns: container };
  const port = { learning: false };
  await kernel.apply(ns, [
    { op: 'link.add', link: { name: 'w1', kind: 'veth', master: 'br0', up: true, port, veth: { peer } } },
    { op: 'fdb.set', fdb: { dev: 'w1', lladdr: mac(7), via: 'master', externLearn: true } },
    { op: 'neigh.set', neigh: { dev: 'br0', dst: '10.9.0.2', lladdr: mac(2), protocol: 119 } },
  ]);
  await told(({ noun, item }) => noun === 'links' && item.name === 'w1' && item.master === 'br0' && item.up === true);
  await told(({ noun, item }) => noun === 'links' && item.name === 'w1' && item.port?.learning === false);
  await told(({ noun, item, gone }) => noun === 'fdb' && item.lladdr === mac(7) && item.dev === 'w1' && !gone);
  await told(({ noun, item }) => noun === 'neighs' && item.dst === '10.9.0.2' && item.protocol === 119);
  const nsid = news.find(({ noun, item }) => noun === 'links' && 'kind' in item && item.name === 'w1')?.item;
  const there = nsid && 'linkNetnsid' in nsid ? nsid.linkNetnsid : assert.fail('no link-netnsid');
  await kernel.apply(container, [
    { op: 'nft.set', table: { family: 'inet', name: 'warren', text: '' } },
    { op: 'link.set', link: { name: 'eth0', up: true } },
    { op: 'addr.set', addr: { dev: 'eth0', address: '10.9.0.7/16' } },
    { op: 'route.set', route: { dst: '10.8.0.0/16', dev: 'eth0', protocol: 119 } },
    { op: 'addr.del', addr: { dev: 'eth0', address: '10.9.0.7/16' } },
  ]);
  const inside = (noun: Noun, gone: boolean) => (each: News) =>
    each.noun === noun && each.nsid === there && each.gone === gone;
  await told((each) => inside('addrs', false)(each) && 'address' in each.item && each.item.address === '10.9.0.7/16');
  await told((each) => inside('routes', false)(each) && 'dst' in each.item && each.item.dst === '10.8.0.0/16');
  await told(inside('addrs', true));
  assert.deepEqual([...ruled], [], 'our own rules');
  execFileSync('ip', ['netns', 'exec', nameOf(container), 'nft', 'flush', 'ruleset']);
  await eventually(() => assert.deepEqual([...ruled], [there]));
  await kernel.apply(ns, [
    { op: 'link.set', link: { name: 'w1', up: false } },
    { op: 'link.set', link: { name: 'w1' }, rename: 'w2' },
    { op: 'fdb.del', fdb: { dev: 'w2', lladdr: mac(7), via: 'master' } },
  ]);
  await told(({ noun, item, renamed }) => noun === 'links' && item.name === 'w2' && renamed === 'w1');
  await told(({ noun, item, gone }) => noun === 'fdb' && item.lladdr === mac(7) && item.dev === 'w2' && gone);
  execFileSync('ip', ['-n', nameOf(ns), 'neigh', 'change', '10.9.0.2', 'lladdr', mac(2), 'dev', 'br0', 'nud', 'stale']);
  await told(({ noun, item, gone }) => noun === 'neighs' && item.dst === '10.9.0.2' && gone);
  abort.abort();
  await done;
});

kernelTest(
  'the addresses that a bridge lets in by a vxlan device are no news of its table',
  async ({ kernel, netns }) => {
    const ns = await netns();
    await kernel.apply(ns, [
      { op: 'link.add', link: { name: 'br0', kind: 'bridge', up: true } },
      {
        op: 'link.add',
        link: { ...vxlan('vx0'), up: true, master: 'br0', port: { learning: false, flood: false } },
      },
    ]);
    const news: News[] = [];
    const abort = new AbortController();
    const done = (async () => {
      for await (const hint of kernel.watch(ns, ['fdb'], abort.signal)) news.push(...hint.news);
    })();
    await kernel.read(ns, { links: true }); // behind the watch in the queue: it is open now
    await kernel.apply(ns, [
      { op: 'fdb.set', fdb: { dev: 'vx0', lladdr: mac(7), via: 'self', dst: '192.0.2.2', externLearn: true } },
      { op: 'fdb.set', fdb: { dev: 'vx0', lladdr: mac(7), via: 'master', externLearn: true } },
      { op: 'fdb.set', fdb: { dev: 'vx0', lladdr: mac(8), via: 'self', dst: '192.0.2.2', externLearn: true } },
    ]);
    await eventually(() =>
      assert.ok(
        news.some(({ item }) => 'lladdr' in item && item.lladdr === mac(8)),
        'news of it',
      ),
    );
    assert.deepEqual(
      news.filter(({ gone }) => gone),
      [],
    );
    abort.abort();
    await done;
  },
);
