import assert from 'node:assert/strict';
import type { News, Route, Rule } from '../../src/kernel/state.ts';
import { eventually, inside, ip, kernelTest, plain, refuses } from '../support/netns.ts';

const protocol = 201;

kernelTest('routes: set twice, replaced, listed alike by ip, deleted, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  await kernel.apply(ns, [
    { op: 'link.add', link: { name: 'd0', kind: plain, up: true } },
    { op: 'addr.set', addr: { dev: 'd0', address: '10.9.0.11/16' } },
    { op: 'addr.set', addr: { dev: 'd0', address: 'fd00:9::11/64', nodad: true } },
  ]);
  const routes: Route[] = [
    { dst: '10.250.0.0/16', via: '10.9.0.1', protocol },
    { dst: '0.0.0.0/0', via: '10.9.0.1', dev: 'd0', protocol, metric: 50 },
    { dst: '10.251.0.0/16', dev: 'd0', protocol, src: '10.9.0.11' },
    { dst: '0.0.0.0/0', via: '169.254.0.3', dev: 'd0', onlink: true, table: 1003, protocol },
    { dst: 'fd00:250::/64', via: 'fd00:9::1', dev: 'd0', protocol },
    { dst: '::/0', via: 'fd00:9::1', dev: 'd0', protocol },
    { dst: '10.252.0.0/16', via: 'fe80::99', dev: 'd0', protocol },
  ];
  const ours = async () => (await kernel.read(ns, { routes: true })).routes.filter((r) => r.protocol === protocol);
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      routes.map((route) => ({ op: 'route.set', route })),
    );
    assert.equal((await ours()).length, routes.length);
  }
  const found = new Map((await ours()).map((route) => [`${route.dst} ${route.table}`, route]));
  for (const route of routes) {
    const have = found.get(`${route.dst} ${route.table ?? 254}`);
    assert.deepEqual({ ...have, ...route }, have, `${route.dst} reads back`);
  }
  const theirs = [
    ...ip(ns, '-4', 'route', 'show', 'table', 'all', 'proto', '201'),
    ...ip(ns, '-6', 'route', 'show', 'table', 'all', 'proto', '201'),
  ];
  assert.deepEqual(theirs.map((r) => r.dst).sort(), [
    '10.250.0.0/16',
    '10.251.0.0/16',
    '10.252.0.0/16',
    'default',
    'default',
    'default',
    'fd00:250::/64',
  ]);

  await kernel.apply(ns, [{ op: 'route.set', route: { dst: '10.250.0.0/16', via: '10.9.0.2', protocol } }]);
  assert.deepEqual(
    (await ours()).filter((r) => r.dst === '10.250.0.0/16').map((r) => r.via),
    ['10.9.0.2'],
  );

  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      routes.map(({ dst, table, dev }) => ({
        op: 'route.del',
        route: { dst, protocol, ...(table && { table }), ...(dev && { dev }) },
      })),
    );
    assert.deepEqual(await ours(), []);
  }
  await refuses(kernel.apply(ns, [{ op: 'route.set', route: { dst: '10.1.0.0/16', via: '172.16.0.1' } }]), {
    code: 'ENETUNREACH',
    extack: 'Nexthop has invalid gateway',
  });
});

kernelTest(
  'local routes: a whole range is the namespace’s own; what comes with an address is not told',
  async (bench) => {
    const { kernel, netns } = bench;
    const ns = await netns();
    await kernel.apply(ns, [
      { op: 'link.set', link: { name: 'lo', up: true } },
      { op: 'addr.set', addr: { dev: 'lo', address: '10.9.0.1/16' } },
      { op: 'addr.set', addr: { dev: 'lo', address: 'fd00:9::1/64', nodad: true } },
    ]);
    const routes: Route[] = [
      { dst: '10.64.0.0/22', type: 'local', dev: 'lo', protocol },
      { dst: 'fd00:64::/112', type: 'local', dev: 'lo', protocol },
      { dst: '10.64.8.0/22', type: 'local', dev: 'lo', table: 1003, protocol },
    ];
    const locals = async () => (await kernel.read(ns, { routes: true })).routes.filter(({ type }) => type);
    const news: News[] = [];
    const abort = new AbortController();
    const done = (async () => {
      for await (const hint of kernel.watch(ns, ['routes'], abort.signal)) news.push(...hint.news);
    })();
    await kernel.read(ns, { links: true }); // behind the watch in the queue: it is open now
    const told = (dst: string, gone: boolean) =>
      eventually(() => {
        const one = news.find((each) => each.noun === 'routes' && each.item.dst === dst && each.gone === gone);
        assert.ok(one && 'type' in one.item, `${dst}: ${JSON.stringify(news)}`);
        assert.deepEqual([one.item.type, one.item.protocol, one.item.dev], ['local', protocol, 'lo']);
      });
    for (let twice = 0; twice < 2; twice++) {
      await kernel.apply(
        ns,
        routes.map((route) => ({ op: 'route.set', route })),
      );
      const found = new Map((await locals()).map((route) => [route.dst, route]));
      assert.equal(found.size, routes.length);
      for (const route of routes) {
        const have = found.get(route.dst);
        assert.deepEqual({ ...have, table: 255, ...route }, have);
      }
    }
    for (const { dst } of routes) await told(dst, false);
    assert.deepEqual(
      [...ip(ns, '-4', 'route', 'show', 'table', 'all'), ...ip(ns, '-6', 'route', 'show', 'table', 'all')]
        .filter((route) => route.protocol === '201')
        .map(({ type, dst, dev, table }) => [type, dst, dev, table]),
      [
        ['local', '10.64.8.0/22', 'lo', '1003'],
        ['local', '10.64.0.0/22', 'lo', 'local'],
        ['local', 'fd00:64::/112', 'lo', 'local'],
      ],
    );
    assert.match(inside(ns, 'ping', '-nc1', '-W2', '10.64.1.7'), /1 received/);
    assert.match(inside(ns, 'ping', '-nc1', '-W2', 'fd00:64::7'), /1 received/);
    for (let twice = 0; twice < 2; twice++) {
      await kernel.apply(
        ns,
        routes.map((route) => ({ op: 'route.del', route })),
      );
      assert.deepEqual(await locals(), []);
    }
    for (const { dst } of routes) await told(dst, true);
    // A new address brings local routes of its own, which are nobody's to judge.
    await kernel.apply(ns, [{ op: 'addr.set', addr: { dev: 'lo', address: '10.8.0.1/16' } }]);
    await kernel.apply(ns, [{ op: 'route.set', route: { dst: '10.7.0.0/16', dev: 'lo', protocol } }]);
    await eventually(() =>
      assert.ok(
        news.some(({ item }) => 'dst' in item && item.dst === '10.7.0.0/16'),
        'news of it',
      ),
    );
    assert.ok(!news.some(({ item }) => 'dst' in item && item.dst === '10.8.0.1/32'));
    abort.abort();
    await done;
    // Nothing but local routes ends here.
    await assert.rejects(
      kernel.apply(ns, [{ op: 'route.set', route: { dst: '10.6.0.0/16', type: 'unicast', dev: 'lo' } as never }]),
      /type must be local/,
    );
  },
);

kernelTest('rules: set twice is one, listed alike by ip, deleted twice, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  const rules: Rule[] = [
    { family: 4, priority: 100, table: 1003, fwmark: 3, protocol },
    { family: 4, priority: 101, table: 254, from: '10.9.0.0/16', protocol },
    { family: 6, priority: 102, table: 1003, fwmark: 0x80000001, from: 'fd00:9::/64', protocol },
  ];
  const ours = async () => (await kernel.read(ns, { rules: true })).rules.filter((rule) => rule.protocol === protocol);
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      rules.map((rule) => ({ op: 'rule.set', rule })),
    );
    assert.deepEqual(await ours(), rules);
  }
  assert.deepEqual(
    ip(ns, '-4', 'rule').map((r) => r.priority),
    [0, 100, 101, 32766, 32767],
  );
  assert.deepEqual(
    ip(ns, '-6', 'rule')
      .filter((r) => r.priority === 102)
      .map((r) => [r.src, r.srclen, r.fwmark, r.table]),
    [['fd00:9::', 64, '0x80000001', '1003']],
  );
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      rules.map((rule) => ({ op: 'rule.del', rule })),
    );
    assert.deepEqual(await ours(), []);
  }
});
