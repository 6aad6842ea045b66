import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { host } from '../../src/kernel/state.ts';
import { kernelTest, nameOf, refuses } from '../support/netns.ts';

kernelTest('a namespace: added, listed by ip too, identified, deleted twice, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  const name = nameOf(ns);
  assert.ok((await kernel.namespaces()).includes(name));
  assert.match(execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }), new RegExp(`^${name}\\b`, 'm'));
  const { dev, ino: inode } = statSync(ns.path);
  assert.deepEqual(await kernel.identify(ns.path), { dev, inode });
  await refuses(kernel.apply(host, [{ op: 'netns.add', name }]), {
    op: 'netns.add',
    subject: name,
    code: 'EEXIST',
    index: 0,
  });
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(host, [{ op: 'netns.del', name }]);
    assert.equal(await kernel.identify(ns.path), undefined);
    assert.ok(!(await kernel.namespaces()).includes(name));
  }
});

kernelTest('a leftover plain file is no namespace, and is taken over', async ({ kernel, netns }) => {
  const ns = await netns();
  await kernel.apply(host, [{ op: 'netns.del', name: nameOf(ns) }]);
  writeFileSync(ns.path, '');
  assert.equal(await kernel.identify(ns.path), undefined);
  assert.ok(!(await kernel.namespaces()).includes(nameOf(ns)));
  await refuses(kernel.read(ns, { links: true }), { code: 'EINVAL', op: 'read', index: -1 });
  await kernel.apply(host, [{ op: 'netns.add', name: nameOf(ns) }]);
  assert.ok(await kernel.identify(ns.path));
});

kernelTest('the same name with another inode is another namespace', async ({ kernel, netns }) => {
  const ns = await netns();
  const born = await kernel.identify(ns.path);
  assert.ok(born);
  assert.equal((await kernel.read({ ...ns, ...born }, { links: true })).links.length, 1);
  const other = await netns();
  const wrong = { ...other, ...born };
  await refuses(kernel.apply(wrong, [{ op: 'link.set', link: { name: 'lo', up: true } }]), {
    code: 'ESTALE',
    index: -1,
    op: 'apply',
  });
  await refuses(kernel.read(wrong, { links: true }), { code: 'ESTALE' });
  assert.equal((await kernel.read(other, { links: true })).links[0]?.up, false);
});

kernelTest('paths that lead to no namespace', async ({ kernel, defer }) => {
  const dir = mkdtempSync(join(tmpdir(), 'warren-'));
  defer(() => rmSync(dir, { recursive: true }));
  execFileSync('mkfifo', [join(dir, 'fifo')]);
  await refuses(kernel.read({ path: '/run/netns/nobody' }, { links: true }), {
    code: 'ENOENT',
    subject: 'links in netns nobody',
  });
  await refuses(kernel.read({ path: join(dir, 'fifo') }, { links: true }), {
    code: 'EINVAL',
    subject: `links in netns ${join(dir, 'fifo')}`,
  });
  assert.equal(await kernel.identify(join(dir, 'fifo')), undefined);
  assert.equal(await kernel.identify('/proc/999999999/ns/net'), undefined);
  // A user namespace is an nsfs file too, but no place for links.
  await refuses(kernel.read({ path: '/proc/self/ns/user' }, { links: true }), { code: 'EINVAL' });
  await assert.rejects(kernel.apply({ path: '/proc/self/ns/net' }, [{ op: 'netns.add', name: 'x' }]), TypeError);
  for (const name of ['', '.', '..', 'a/b', '../x'])
    await assert.rejects(kernel.apply(host, [{ op: 'netns.add', name }]), TypeError);
});

kernelTest('by /proc path as well as by name', async ({ kernel }) => {
  const one = await kernel.read({ path: `/proc/${process.pid}/ns/net` }, { links: true });
  assert.deepEqual(
    one.links.map((l) => l.name),
    (await kernel.read(host, { links: true })).links.map((l) => l.name),
  );
});
