import assert from 'node:assert/strict';
import { inside, kernelTest, refuses } from '../support/netns.ts';

const family = 'inet';
const name = 'warren';
const first = `chain egress {
	type nat hook postrouting priority srcnat; policy accept;
	iifname "br0" oifname "up0" masquerade
}`;
const second = `set blocked {
	type ipv4_addr . inet_service
	elements = { 10.9.0.1 . 80,
		     10.9.0.2 . 443 }
}

chain in {
	type filter hook input priority raw; policy accept;
	ip saddr . tcp dport @blocked counter drop
	udp dport 4789 meta ipsec missing drop
}`;

kernelTest('a table is replaced whole, reads back as it was given, deleted, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  const query = {
    nft: [
      { family, name },
      { family, name: 'other' },
    ],
  } as const;
  assert.deepEqual((await kernel.read(ns, query)).nft, []);
  for (const text of [first, first, second]) {
    await kernel.apply(ns, [{ op: 'nft.set', table: { family, name, text } }]);
    assert.deepEqual((await kernel.read(ns, query)).nft, [{ family, name, text }]);
  }
  const listed = inside(ns, 'nft', '-s', 'list', 'ruleset');
  assert.match(listed, /@blocked counter drop/);
  assert.doesNotMatch(listed, /masquerade/);
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(ns, [{ op: 'nft.del', family, name }]);
    assert.deepEqual((await kernel.read(ns, query)).nft, []);
  }
  assert.equal(inside(ns, 'nft', 'list', 'ruleset'), '');
});

kernelTest(
  'a table that does not parse, or that the kernel refuses, leaves the old one whole',
  async ({ kernel, netns }) => {
    const ns = await netns();
    const set = (text: string) => kernel.apply(ns, [{ op: 'nft.set', table: { family, name, text } }]);
    await set(first);
    await refuses(set('chain x { bogus }'), { code: 'EINVAL', op: 'nft.set', index: 0 });
    await assert.rejects(set('chain x { bogus }'), /syntax error/);
    await refuses(set('chain x { jump nowhere; }'), { code: 'ENOENT', op: 'nft.set' });
    assert.deepEqual((await kernel.read(ns, { nft: [{ family, name }] })).nft, [{ family, name, text: first }]);
    await assert.rejects(kernel.apply(ns, [{ op: 'nft.del', family, name: 'a; flush ruleset' }]), TypeError);
  },
);

kernelTest('tables live in their namespace', async ({ kernel, netns }) => {
  const [one, two] = [await netns(), await netns()];
  await kernel.apply(one, [{ op: 'nft.set', table: { family, name, text: first } }]);
  assert.deepEqual((await kernel.read(two, { nft: [{ family, name }] })).nft, []);
});
