import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { inside, kernelTest, plain, refuses } from '../support/netns.ts';

kernelTest('sysctls are written in the namespace, not in the host', async ({ kernel, netns }) => {
  const ns = await netns();
  const key = 'net/ipv4/conf/default/rp_filter';
  const before = readFileSync(`/proc/sys/${key}`, 'utf8');
  const value = before.trim() === '2' ? '1' : '2';
  await kernel.apply(ns, [{ op: 'link.add', link: { name: 'eth0.5', kind: plain } }]);
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(ns, [
      { op: 'sysctl.set', sysctl: { key, value } },
      { op: 'sysctl.set', sysctl: { key: 'net/ipv6/conf/eth0.5/accept_ra', value: '0' } },
    ]);
    assert.deepEqual(
      (await kernel.read(ns, { sysctls: [key, 'net/nobody/here', 'net/ipv6/conf/eth0.5/accept_ra'] })).sysctls,
      [
        { key, value },
        { key: 'net/ipv6/conf/eth0.5/accept_ra', value: '0' },
      ],
    );
  }
  assert.equal(inside(ns, 'cat', `/proc/sys/${key}`).trim(), value);
  assert.equal(readFileSync(`/proc/sys/${key}`, 'utf8'), before);
});

kernelTest('sysctls that cannot be', async ({ kernel, netns }) => {
  const ns = await netns();
  const set = (key: string, value = '1') => kernel.apply(ns, [{ op: 'sysctl.set', sysctl: { key, value } }]);
  await refuses(set('net/nobody/here'), { code: 'ENOENT', op: 'sysctl.set', index: 0 });
  await refuses(set('net/ipv4/ip_forward', 'perhaps'), { code: 'EINVAL' });
  for (const key of ['kernel/hostname', 'net/../kernel/hostname', '/net/ipv4/ip_forward', '../etc/passwd', '']) {
    await assert.rejects(set(key), TypeError);
    await assert.rejects(kernel.read(ns, { sysctls: [key] }), TypeError);
  }
});
