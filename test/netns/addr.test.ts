import assert from 'node:assert/strict';
import { ip, kernelTest, npmNetlink, plain, refuses } from '../support/netns.ts';

kernelTest('addresses: set twice, listed by three readers alike, deleted, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  const addrs = [
    { dev: 'd0', address: '10.9.0.11/16', nodad: true },
    { dev: 'd0', address: 'fd00:9::11/64', nodad: true },
    { dev: 'd0', address: 'fe80::1/64', nodad: true },
    { dev: 'd0', address: '10.200.0.1/32', scope: 253 },
  ];
  await kernel.apply(ns, [{ op: 'link.add', link: { name: 'd0', kind: plain, up: true, addrGenMode: 'none' } }]);
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      addrs.map((addr) => ({ op: 'addr.set', addr })),
    );
    const read = (await kernel.read(ns, { addrs: true })).addrs;
    assert.deepEqual(read.map((addr) => `${addr.dev} ${addr.address} ${addr.scope} ${addr.nodad ?? false}`).sort(), [
      'd0 10.200.0.1/32 253 false',
      'd0 10.9.0.11/16 0 false', // IPv4 has no duplicate address detection, and forgets the flag
      'd0 fd00:9::11/64 0 true',
      'd0 fe80::1/64 253 true',
    ]);
  }
  const theirs = ip(ns, 'addr', 'show', 'd0')[0].addr_info.map(
    (a: { local: string; prefixlen: number }) => `${a.local}/${a.prefixlen}`,
  );
  assert.deepEqual(theirs.sort(), addrs.map((addr) => addr.address).sort());
  assert.deepEqual(
    ip(ns, 'addr', 'show', 'd0')[0].addr_info.filter((a: { tentative?: boolean }) => a.tentative),
    [],
  );
  assert.deepEqual(
    npmNetlink(ns)
      .addrs.map((a) => a.prefixlen)
      .sort(),
    [16, 32, 64, 64],
  );
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      addrs.map((addr) => ({ op: 'addr.del', addr })),
    );
    assert.deepEqual((await kernel.read(ns, { addrs: true })).addrs, []);
  }
});

kernelTest('addresses of absent links', async ({ kernel, netns }) => {
  const ns = await netns();
  const addr = { dev: 'nobody', address: '10.0.0.1/24' };
  await kernel.apply(ns, [{ op: 'addr.del', addr }]);
  await refuses(kernel.apply(ns, [{ op: 'addr.set', addr }]), { code: 'ENODEV', index: 0, op: 'addr.set' });
});
