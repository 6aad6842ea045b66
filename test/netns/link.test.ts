import assert from 'node:assert/strict';
import type { Kernel } from '../../src/kernel/kernel.ts';
import { host, type Link, type Netns } from '../../src/kernel/state.ts';
import { inside, ip, kernelTest, mac, npmNetlink, plain, randomVni, refuses, vxlan } from '../support/netns.ts';

async function links(kernel: Kernel, netns: Netns): Promise<Map<string, Link>> {
  const state = await kernel.read(netns, { links: true });
  return new Map(state.links.map((link) => [link.name, link]));
}

kernelTest('a fresh namespace holds lo and nothing else', async ({ kernel, netns }) => {
  const ns = await netns();
  const state = await kernel.read(ns, { links: true, addrs: true, neighs: true, fdb: true, routes: true });
  assert.deepEqual(
    state.links.map((link) => [link.name, link.kind, link.up, link.master]),
    [['lo', '', false, null]],
  );
  assert.deepEqual([state.addrs, state.neighs, state.fdb, state.routes], [[], [], [], []]);
});

kernelTest('a bridge with a port: made, listed by three readers alike, deleted, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  const vni = randomVni();
  const br0: Link = {
    name: 'br0',
    kind: 'bridge',
    mtu: 1400,
    address: mac(1),
    up: true,
    group: 3,
    addrGenMode: 'none',
    bridge: { stp: false, mcastSnooping: false, ageingSeconds: 42 },
  };
  const vx0: Link = {
    ...vxlan('vx0', vni),
    mtu: 1400,
    address: mac(2),
    up: true,
    master: 'br0',
    addrGenMode: 'none',
    port: { learning: false, flood: false, mcastFlood: false, bcastFlood: true, neighSuppress: true, isolated: true },
  };
  await kernel.apply(ns, [
    { op: 'link.add', link: br0 },
    { op: 'link.add', link: vx0 },
  ]);

  const ours = await links(kernel, ns);
  assert.deepEqual(ours.get('br0'), { ...br0, master: null });
  assert.deepEqual(ours.get('vx0'), { ...vx0, group: 0, tso: true, txDropped: 0 });

  const theirs = Object.fromEntries(ip(ns, 'link').map((link) => [link.ifname, link]));
  assert.equal(theirs.br0.linkinfo.info_data.ageing_time, 4200);
  // A kernel without IGMP snooping has no such field.
  assert.equal(theirs.br0.linkinfo.info_data.mcast_snooping ?? 0, 0);
  assert.equal(theirs.br0.inet6_addr_gen_mode, 'none');
  const { info_data: data, info_slave_data: port } = theirs.vx0.linkinfo;
  assert.deepEqual([data.id, data.local, data.port, data.learning, data.proxy], [vni, '127.0.0.1', 14789, false, true]);
  const { learning, flood, mcast_flood, bcast_flood, neigh_suppress, isolated } = port;
  assert.deepEqual(
    [learning, flood, mcast_flood, bcast_flood, neigh_suppress, isolated],
    [false, false, false, true, true, true],
  );

  const index = new Map(npmNetlink(ns).links.map((link) => [link.index, link.name]));
  for (const link of npmNetlink(ns).links) {
    const { mtu, address, up, master, group } = ours.get(link.name) ?? {};
    assert.deepEqual(
      { mtu, address, up, master, group },
      {
        mtu: link.mtu,
        address: link.address,
        up: link.up,
        group: link.group,
        master: index.get(link.master) ?? null,
      },
    );
  }

  await kernel.apply(ns, [
    { op: 'link.del', name: 'vx0' },
    { op: 'link.del', name: 'br0' },
    { op: 'link.del', name: 'br0' },
  ]);
  assert.deepEqual([...(await links(kernel, ns)).keys()], ['lo']);
});

kernelTest('addrGenMode none leaves no moment for a link-local address', async ({ kernel, netns }) => {
  const ns = await netns();
  await kernel.apply(ns, [
    { op: 'link.add', link: { name: 'd0', kind: plain, up: true, addrGenMode: 'none' } },
    { op: 'link.add', link: { name: 'd1', kind: plain } },
    { op: 'link.set', link: { name: 'd1', up: true, addrGenMode: 'none' } },
    { op: 'link.add', link: { name: 'd2', kind: plain, up: true } },
  ]);
  assert.deepEqual(
    (await kernel.read(ns, { addrs: true })).addrs.map((addr) => addr.dev),
    ['d2'],
  );
});

kernelTest('a veth peer is born in its own namespace, by path, or in the host', async ({ kernel, netns, defer }) => {
  const [ns, container] = [await netns(), await netns()];
  const outside = `wt${process.pid % 100000}`;
  defer(() => kernel.apply(host, [{ op: 'link.del', name: outside }]));
  const peer = { name: 'eth0', netns: container, mtu: 1300, address: mac(7) };
  await kernel.apply(ns, [
    { op: 'link.add', link: { name: 'w1', kind: 'veth', up: true, mtu: 1300, address: mac(8), veth: { peer } } },
    { op: 'link.add', link: { name: 'up0', kind: 'veth', veth: { peer: { name: outside, netns: host } } } },
  ]);
  const eth0 = (await links(kernel, container)).get('eth0');
  assert.deepEqual([eth0?.kind, eth0?.mtu, eth0?.address, eth0?.up], ['veth', 1300, mac(7), false]);
  assert.deepEqual([...(await links(kernel, ns)).keys()].sort(), ['lo', 'up0', 'w1']);
  assert.equal((await links(kernel, host)).get(outside)?.kind, 'veth');
  await kernel.apply(ns, [{ op: 'link.del', name: 'w1' }]);
  assert.deepEqual([...(await links(kernel, container)).keys()], ['lo']);
});

kernelTest('a vxlan device is born from the host straight into another namespace', async ({ kernel, netns }) => {
  const ns = await netns();
  const vni = randomVni();
  await kernel.apply(ns, [{ op: 'link.add', link: { name: 'br0', kind: 'bridge', up: true } }]);
  const born: Link = {
    ...vxlan(`b${vni}`, vni),
    netns: ns,
    mtu: 1400,
    address: mac(3),
    up: true,
    master: 'br0',
    addrGenMode: 'none',
    port: { learning: false, flood: false },
  };
  await kernel.apply(host, [{ op: 'link.add', link: born }]);
  const have = (await links(kernel, ns)).get(`b${vni}`);
  assert.deepEqual(
    [have?.vxlan, have?.master, have?.up, have?.mtu, have?.address, have?.addrGenMode],
    [born.vxlan, 'br0', true, 1400, mac(3), 'none'],
  );
  assert.deepEqual([have?.port?.learning, have?.port?.flood], [false, false]);
  assert.equal((await links(kernel, host)).has(`b${vni}`), false);
  // Its UDP socket stayed in the host: a second one with that VNI is a clash there, not in the namespace.
  await refuses(kernel.apply(host, [{ op: 'link.add', link: { ...vxlan('vx2', vni), netns: ns } }]), {
    code: 'EEXIST',
    extack: 'A VXLAN device with the specified VNI already exists',
    index: 0,
    subject: 'vxlan vx2',
  });
  await kernel.apply(ns, [
    { op: 'link.set', link: { name: `b${vni}`, up: false } },
    {
      op: 'link.set',
      link: { name: `b${vni}`, up: true, addrGenMode: 'none', master: 'br0', port: { flood: true } },
      rename: 'vx0',
    },
  ]);
  const renamed = (await links(kernel, ns)).get('vx0');
  assert.deepEqual([renamed?.up, renamed?.master, renamed?.port?.flood], [true, 'br0', true]);
});

kernelTest('an IPv6 VTEP', async ({ kernel, netns }) => {
  const ns = await netns();
  const link: Link = {
    name: 'vx6',
    kind: 'vxlan',
    vxlan: { vni: randomVni(), local: '::1', port: 14790, learning: true, proxy: false },
  };
  await kernel.apply(ns, [{ op: 'link.add', link }]);
  assert.deepEqual((await links(kernel, ns)).get('vx6')?.vxlan, link.vxlan);
  assert.equal(ip(ns, 'link', 'show', 'vx6')[0].linkinfo.info_data.local6, '::1');
});

/** `ethtool -k`: TCP segmentation offload, as the second reader has it. Its summary counts AccECN, which alone does nothing. */
function ethtool(netns: Netns, dev: string): boolean | undefined {
  const text = inside(netns, 'ethtool', '-k', dev);
  const states = [...text.matchAll(/^\ttx-tcp6?-segmentation: (on|off)$/gm)].map(([, state]) => state);
  assert.deepEqual([states.length, new Set(states).size], [2, 1], text);
  return states[0] === 'on';
}

kernelTest('TCP segmentation offload of a vxlan in another namespace', async ({ kernel, netns }) => {
  const ns = await netns();
  const vni = randomVni();
  const born: Link = { ...vxlan(`b${vni}`, vni), netns: ns, tso: false, up: true };
  await kernel.apply(host, [{ op: 'link.add', link: born }]);
  await kernel.apply(ns, [
    { op: 'link.add', link: { ...vxlan('vx1'), up: true } },
    { op: 'link.add', link: { ...vxlan('vx2'), tso: false } },
    { op: 'link.add', link: { name: 'br0', kind: 'bridge', tso: false } },
  ]);
  const both = async (name: string) => [(await links(kernel, ns)).get(name)?.tso, ethtool(ns, name)];
  assert.deepEqual(await both(`b${vni}`), [false, false]);
  assert.equal((await links(kernel, ns)).get(`b${vni}`)?.up, true);
  assert.deepEqual(
    [await both('vx1'), await both('vx2')],
    [
      [true, true],
      [false, false],
    ],
  );
  // Of other kinds it is set, but not read: a network has a thousand of them.
  assert.deepEqual(await both('br0'), [undefined, false]);
  for (const tso of [false, false, true, true]) {
    await kernel.apply(ns, [{ op: 'link.set', link: { name: 'vx1', tso } }]);
    assert.deepEqual(await both('vx1'), [tso, tso]);
  }
  // As a vxlan is made: named and put to use in one op.
  await kernel.apply(ns, [
    { op: 'link.set', link: { name: 'vx2', tso: true, master: 'br0', up: true }, rename: 'vx0' },
    { op: 'link.set', link: { name: 'vx0', mtu: 1400 } },
  ]);
  assert.deepEqual(await both('vx0'), [true, true]);
  await refuses(kernel.apply(ns, [{ op: 'link.set', link: { name: 'nobody', tso: false } }]), {
    code: 'ENODEV',
    extack: 'ethtool tso',
    index: 0,
  });
});

kernelTest('link.set touches what it is given, twice the same', async ({ kernel, netns }) => {
  const ns = await netns();
  const bridge = { stp: false, mcastSnooping: true };
  await kernel.apply(ns, [
    { op: 'link.add', link: { name: 'br0', kind: 'bridge', up: true, bridge } },
    { op: 'link.add', link: { name: 'd0', kind: plain, up: true, master: 'br0' } },
  ]);
  const before = (await links(kernel, ns)).get('d0');
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(ns, [{ op: 'link.set', link: { name: 'd0', mtu: 1334, group: 5 } }]);
    assert.deepEqual((await links(kernel, ns)).get('d0'), { ...before, mtu: 1334, group: 5 });
  }
  await kernel.apply(ns, [{ op: 'link.set', link: { name: 'br0', bridge: { ...bridge, mcastSnooping: false } } }]);
  assert.deepEqual((await links(kernel, ns)).get('br0')?.bridge?.mcastSnooping, false);
  // The deferred detach: all of it in one request.
  await kernel.apply(ns, [{ op: 'link.set', link: { name: 'd0', up: false, master: null, group: 9 }, rename: 'gone' }]);
  const gone = (await links(kernel, ns)).get('gone');
  assert.deepEqual([gone?.up, gone?.master, gone?.group], [false, null, 9]);
  await kernel.apply(ns, [
    { op: 'link.delgroup', group: 9 },
    { op: 'link.delgroup', group: 9 },
  ]);
  assert.equal((await links(kernel, ns)).has('gone'), false);
});

kernelTest('what the kernel refuses, in its own words', async ({ kernel, netns }) => {
  const ns = await netns();
  const d0 = { op: 'link.add', link: { name: 'd0', kind: plain } } as const;
  await kernel.apply(ns, [d0]);
  const where = `in netns ${ns.path.slice('/run/netns/'.length)}`;
  await refuses(kernel.apply(ns, [d0]), {
    op: 'link.add',
    subject: `${plain} d0 ${where}`,
    code: 'EEXIST',
    errno: 17,
    index: 0,
  });
  await refuses(kernel.apply(ns, [{ op: 'link.add', link: vxlan('vx0', 2 ** 24) }]), {
    code: 'ERANGE',
    errno: 34,
    attr: 'LINKINFO/DATA/VXLAN_ID',
    extack: 'VXLAN ID must be lower than 16777216',
    message: `link.add vxlan vx0 ${where}: ERANGE: VXLAN ID must be lower than 16777216 (LINKINFO/DATA/VXLAN_ID)`,
  });
  await refuses(kernel.apply(ns, [{ op: 'link.set', link: { name: 'nobody', up: true } }]), {
    code: 'ENODEV',
    index: 0,
  });
  await refuses(kernel.apply(ns, [{ op: 'link.add', link: { ...d0.link, name: 'd1', master: 'nobody' } }]), {
    code: 'ENODEV',
    attr: 'MASTER',
  });
  await refuses(kernel.apply(ns, [{ op: 'link.add', link: { name: 'x0', kind: 'nosuchkind' } }]), {
    code: 'EOPNOTSUPP',
    extack: 'Unknown device type',
  });
  const br0 = { name: 'br0', kind: 'bridge' } as const;
  await kernel.apply(ns, [{ op: 'link.add', link: br0 }]);
  await refuses(kernel.apply(ns, [{ op: 'link.set', link: { ...br0, mtu: 1 << 30 } }]), {
    code: 'EINVAL',
    extack: 'mtu greater than device maximum',
    subject: `bridge br0 ${where}`,
  });
  await refuses(kernel.apply(ns, [{ op: 'link.delgroup', group: 0 }]), { code: 'EPERM' });
  const peer = { name: 'eth0', netns: { path: '/run/netns/nobody' } };
  await refuses(kernel.apply(ns, [{ op: 'link.add', link: { name: 'w0', kind: 'veth', veth: { peer } } }]), {
    code: 'ENOENT',
    index: 0,
  });
  const stale = { name: 'eth0', netns: { ...ns, dev: 1, inode: 2 } };
  await refuses(kernel.apply(ns, [{ op: 'link.add', link: { name: 'w0', kind: 'veth', veth: { peer: stale } } }]), {
    code: 'ESTALE',
  });
});
