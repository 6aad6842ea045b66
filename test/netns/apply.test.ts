import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Op } from '../../src/kernel/op.ts';
import { host, type Netns } from '../../src/kernel/state.ts';
import { kernelTest, plain, refuses } from '../support/netns.ts';

const dummy = (name: string): Op => ({ op: 'link.add', link: { name, kind: plain } });

kernelTest('in order, stops at the first failure, which is named', async ({ kernel, netns }) => {
  const ns = await netns();
  const ops: Op[] = [dummy('a'), dummy('b'), { op: 'link.del', name: 'nobody' }, dummy('a'), dummy('c')];
  await refuses(kernel.apply(ns, ops), { index: 3, op: 'link.add', code: 'EEXIST' });
  assert.deepEqual((await kernel.read(ns, { links: true })).links.map((l) => l.name).sort(), ['a', 'b', 'lo']);
  await kernel.apply(ns, []);
});

kernelTest('several namespaces in one request, the host between them, in order', async ({ kernel, netns, defer }) => {
  const [a, b] = [await netns(), await netns()];
  const name = `warren-t${process.pid}`;
  const made = { path: `/run/netns/${name}` };
  defer(() => kernel.apply(host, [{ op: 'netns.del', name }]));
  await kernel.applyAll([
    { netns: a, ops: [dummy('a')] },
    { netns: host, ops: [{ op: 'netns.add', name }] },
    { netns: b, ops: [] },
    { netns: made, ops: [dummy('c'), { op: 'sysctl.set', sysctl: { key: 'net/ipv4/ip_forward', value: '1' } }] },
    { netns: a, ops: [dummy('d')] },
  ]);
  const names = async (ns: Netns) => (await kernel.read(ns, { links: true })).links.map((link) => link.name).sort();
  assert.deepEqual([await names(a), await names(b), await names(made)], [['a', 'd', 'lo'], ['lo'], ['c', 'lo']]);
  const sysctls = { sysctls: ['net/ipv4/ip_forward'] };
  assert.deepEqual((await kernel.read(made, sysctls)).sysctls, [{ key: 'net/ipv4/ip_forward', value: '1' }]);
  await refuses(
    kernel.applyAll([
      { netns: b, ops: [dummy('b')] },
      { netns: a, ops: [dummy('e'), dummy('a')] },
      { netns: b, ops: [dummy('never')] },
    ]),
    { index: 1, code: 'EEXIST', subject: `${plain} a in netns ${a.path.slice('/run/netns/'.length)}` },
  );
  await refuses(
    kernel.applyAll([
      { netns: b, ops: [dummy('f')] },
      { netns: { ...a, inode: 1 }, ops: [dummy('g')] },
    ]),
    {
      index: -1,
      code: 'ESTALE',
      subject: `in netns ${a.path.slice('/run/netns/'.length)}`,
    },
  );
  assert.deepEqual(
    [await names(a), await names(b)],
    [
      ['a', 'd', 'e', 'lo'],
      ['b', 'f', 'lo'],
    ],
  );
  assert.ok((await names(host)).includes('lo'));
  await kernel.applyAll([]);
  await assert.rejects(kernel.applyAll([{ netns: a, ops: [dummy('x')] }, { netns: b }] as never), TypeError);
});

kernelTest('a wrong type is a TypeError before anything has happened', async ({ kernel, netns }) => {
  const ns = await netns();
  const wrong: [unknown, RegExp][] = [
    [{ op: 'link.add', link: { name: 'b' } }, /ops\[1\].link.kind must be given/],
    [{ op: 'link.add', link: { name: 'b', kind: plain, mtu: '1400' } }, /ops\[1\].link.mtu must be an integer/],
    [{ op: 'link.add', link: { name: 'b', kind: plain, mtu: 1400.5 } }, /integer/],
    [{ op: 'link.add', link: { name: 'b', kind: plain, mtu: -1 } }, /integer/],
    [{ op: 'link.add', link: { name: 'b', kind: plain, up: 1 } }, /up must be a boolean/],
    [{ op: 'link.add', link: { name: 'b', kind: plain, tso: 'off' } }, /tso must be a boolean/],
    [{ op: 'link.add', link: { name: 'far-too-long-a-name', kind: plain } }, /1 to 15/],
    [{ op: 'link.add', link: { name: 'b', kind: plain, address: '02:00' } }, /MAC/],
    [{ op: 'link.add', link: { name: 'b', kind: 'vxlan', vxlan: { vni: 1 } } }, /vxlan.local must be a string/],
    [
      { op: 'link.add', link: { name: 'b', kind: 'veth', veth: { peer: { name: 'c' } } } },
      /peer.netns must be an object/,
    ],
    [{ op: 'link.set', link: { name: 'b', netns: { path: '/x' } } }, /never moved/],
    [{ op: 'addr.set', addr: { dev: 'a', address: '10.0.0.1' } }, /\/length/],
    [{ op: 'addr.set', addr: { dev: 'a', address: '10.0.0.1/33' } }, /\/length/],
    [{ op: 'route.set', route: { dst: 'default' } }, /\/length/],
    [{ op: 'route.set', route: { dst: '10.0.0.0/8', src: '::1' } }, /family/],
    [{ op: 'rule.set', rule: { family: 5, priority: 1, table: 1 } }, /4 or 6/],
    [{ op: 'neigh.set', neigh: { dev: 'a', dst: 'x', lladdr: '02:00:00:00:00:01' } }, /IP address/],
    [{ op: 'fdb.set', fdb: { dev: 'a', lladdr: '02:00:00:00:00:01', via: 'both' } }, /self or master/],
    [{ op: 'fdb.set', fdb: { dev: 'a', lladdr: '02:00:00:00:00:01', via: 'master', dst: '10.0.0.1' } }, /via self/],
    [{ op: 'nft.set', table: { family: 'ip', name: 'x', text: '' } }, /inet/],
    [{ op: 'no.such' }, /op must be one of/],
    [null, /ops\[1\] must be an object/],
    [
      {
        get op() {
          throw new Error('trap');
        },
      },
      /readable/,
    ],
  ];
  for (const [op, message] of wrong) {
    await assert.rejects(
      kernel.apply(ns, [dummy('a'), op as Op]),
      (error) => error instanceof TypeError && message.test(error.message),
    );
  }
  await assert.rejects(kernel.apply(ns, 'all' as never), TypeError);
  await assert.rejects(kernel.apply({ path: 5 } as never, [dummy('a')]), TypeError);
  await assert.rejects(kernel.read(ns, { links: 'yes' } as never), TypeError);
  assert.equal((await kernel.read(ns, { links: true })).links.length, 1);
});

kernelTest('many requests at once are answered each', async ({ kernel, netns }) => {
  const spaces = await Promise.all([netns(), netns(), netns(), netns()]);
  await Promise.all(spaces.flatMap((ns) => Array.from({ length: 25 }, (_, i) => kernel.apply(ns, [dummy(`d${i}`)]))));
  const reads = await Promise.all(
    [...spaces, ...spaces, host].map((ns) => kernel.read(ns, { links: true, addrs: true })),
  );
  assert.deepEqual(
    reads.slice(0, 8).map((state) => state.links.length),
    Array(8).fill(26),
  );
});

kernelTest('a table read while it changes is whole', async ({ kernel, netns }) => {
  const ns = await netns();
  const steady = Array.from({ length: 300 }, (_, i) => dummy(`s${i}`));
  await kernel.apply(ns, steady);
  const { openKernel } = await import('../../src/kernel/native.ts');
  const other = openKernel();
  let stop = false;
  const churn = (async () => {
    for (let i = 0; !stop; i++) await other.apply(ns, [dummy(`c${i % 7}`), { op: 'link.del', name: `c${i % 7}` }]);
  })();
  for (let i = 0; i < 30; i++) {
    const names = (await kernel.read(ns, { links: true })).links.map((link) => link.name);
    assert.equal(new Set(names).size, names.length, 'no link twice');
    assert.equal(names.filter((name) => name.startsWith('s')).length, 300, 'no link lost');
  }
  stop = true;
  await churn;
  await other.close();
});

kernelTest('an idle kernel does not keep node alive, a pending request does', async () => {
  const native = fileURLToPath(new URL('../../src/kernel/native.ts', import.meta.url));
  const run = (code: string) =>
    promisify(execFile)(
      process.execPath,
      [
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        `import { openKernel } from ${JSON.stringify(native)}; const k = openKernel(); ${code}`,
      ],
      { timeout: 60_000 },
    );
  assert.equal((await run(`await k.read({ path: '' }, { links: true }); console.log('read')`)).stdout, 'read\n');
  assert.equal((await run(`k.namespaces().then(() => console.log('answered'))`)).stdout, 'answered\n');
  // Leaving in the middle of everything is orderly too.
  assert.equal(
    (
      await run(
        `k.namespaces(); k.watch({ path: '' }, ['links'], new AbortController().signal).next(); console.log('bye'); process.exit(0)`,
      )
    ).stdout,
    'bye\n',
  );
});

kernelTest('the namespace of the process is untouched', async ({ kernel, netns }) => {
  const ns = await netns();
  const link = () => execFileSync('readlink', ['/proc/self/ns/net'], { encoding: 'utf8' });
  const before = link();
  await Promise.all(Array.from({ length: 50 }, () => kernel.read(ns, { links: true })));
  assert.equal(link(), before);
});
