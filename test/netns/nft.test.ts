import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { eventually, inside, kernelTest, nameOf, refuses } from '../support/netns.ts';

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
    const hook = 'type filter hook input priority filter; policy accept;';
    await refuses(set(`chain x {\n\t${hook}\n\tip saddr 10.9.0.1 drop\n\ttcp dport 80 jump nowhere\n}`), {
      code: 'ENOENT',
      extack: 'Could not process rule: No such file or directory, line 4: tcp dport 80 jump nowhere',
    });
    await refuses(set(`chain x {\n\t${hook}\n\ttcp dport 80 redirekt to :80\n}`), {
      code: 'EINVAL',
      extack: 'syntax error, unexpected colon, expecting newline or semicolon, line 3: tcp dport 80 redirekt to :80',
      message: `nft.set table inet warren in netns ${nameOf(ns)}: EINVAL: syntax error, unexpected colon, expecting newline or semicolon, line 3: tcp dport 80 redirekt to :80`,
    });
    // A masquerade has no place in a filter chain.
    await refuses(set(`chain x {\n\t${hook}\n\tmasquerade\n}`), {
      code: 'EOPNOTSUPP',
      extack: 'Could not process rule: Operation not supported, line 3: masquerade',
    });
    // Of a line of a thousand elements the one that is meant.
    const many = Array.from({ length: 1000 }, (_, i) => `10.9.${i >> 8}.${i & 255} : ${i}`);
    await refuses(set(`map m {\n\ttype ipv4_addr : mark\n\telements = { ${many.join(', ')}, 10.9.0.1 : 7 }\n}`), {
      extack: 'Could not process rule: File exists, line 3: 10.9.0.1',
    });
    assert.deepEqual((await kernel.read(ns, { nft: [{ family, name }] })).nft, [{ family, name, text: first }]);
    await assert.rejects(kernel.apply(ns, [{ op: 'nft.del', family, name: 'a; flush ruleset' }]), TypeError);
  },
);

const twins = `map twins {
	type ipv4_addr . inet_proto . inet_service : mark
}

map verdicts {
	type ipv6_addr . inet_service : verdict
}

set these {
	type ipv6_addr . inet_service
}

chain here {
}`;

kernelTest('elements are set and deleted, one by one and many, in one transaction', async ({ kernel, netns }) => {
  const ns = await netns();
  const text = async () => (await kernel.read(ns, { nft: [{ family, name }] })).nft[0]?.text ?? '';
  /** What a set or map holds. */
  const held = async (set: string) => {
    const body = new RegExp(`^(?:set|map) ${set} \\{\n([^}]*\\})?`, 'm').exec(await text())?.[1] ?? '';
    const list = /elements = \{([^}]*)\}/.exec(body)?.[1] ?? '';
    return list === ''
      ? []
      : list
          .split(',')
          .map((each) => each.trim())
          .sort();
  };
  const change = (op: 'nft.element.set' | 'nft.element.del', set: string, ...elements: string[]) =>
    kernel.apply(ns, [{ op, family, table: name, set, elements }]);
  await kernel.apply(ns, [{ op: 'nft.set', table: { family, name, text: twins } }]);

  const sets: [string, string[], string[]][] = [
    ['these', ['fd00:9::b . 80', 'fd00:9::c . 443'], ['fd00:9::b . 80']],
    ['twins', ['10.9.0.11 . tcp . 80 : 0x80000050', '10.9.0.12 . udp . 53 : 0x80000035'], ['10.9.0.11 . tcp . 80']],
    ['verdicts', ['fd00:9::b . 80 : drop', 'fd00:9::c . 80 : jump here'], ['fd00:9::b . 80 : accept']],
  ];
  for (const [set, two, first] of sets) {
    for (let twice = 0; twice < 2; twice++) {
      await change('nft.element.set', set, ...two);
      assert.deepEqual(await held(set), two);
    }
    // With another value, without one, and with one that is not there.
    for (let twice = 0; twice < 2; twice++) {
      await change('nft.element.del', set, ...first);
      assert.deepEqual(await held(set), two.slice(1));
    }
    await change('nft.element.del', set, ...two);
    assert.deepEqual(await held(set), []);
  }

  // A key of a map has one value, and gets another one beside keys that are new and keys that stay.
  await change('nft.element.set', 'twins', '10.9.0.11 . tcp . 80 : 0x00000001', '10.9.0.12 . tcp . 80 : 0x00000002');
  const next = [
    '10.9.0.11 . tcp . 80 : 0x00000001',
    '10.9.0.12 . tcp . 80 : 0x00000007',
    '10.9.0.13 . tcp . 80 : 0x00000003',
  ];
  await change('nft.element.set', 'twins', ...next);
  assert.deepEqual(await held('twins'), next);
  await change('nft.element.set', 'verdicts', 'fd00:9::c . 80 : drop');
  await change('nft.element.set', 'verdicts', 'fd00:9::c . 80 : jump here');
  assert.deepEqual(await held('verdicts'), ['fd00:9::c . 80 : jump here']);

  const many = Array.from({ length: 1000 }, (_, i) => `10.8.${i >> 8}.${i & 255} . tcp . 80 : 0x00000001`);
  await change('nft.element.set', 'twins', ...many);
  assert.equal((await held('twins')).length, 1003);
  await change('nft.element.del', 'twins', ...many);
  assert.deepEqual(await held('twins'), next);
  await change('nft.element.set', 'these');
  await change('nft.element.del', 'these');
});

kernelTest('elements that are none, and sets that are not there', async ({ kernel, netns }) => {
  const ns = await netns();
  const op = { op: 'nft.element.set', family, table: name, set: 'these', elements: ['fd00:9::b . 80'] } as const;
  const gone = { ...op, op: 'nft.element.del' } as const;
  await refuses(kernel.apply(ns, [op]), { code: 'ENOENT', op: 'nft.element.set', index: 0 });
  await kernel.apply(ns, [gone, { op: 'nft.set', table: { family, name, text: twins } }, { ...gone, set: 'those' }]);
  await refuses(kernel.apply(ns, [op, { ...op, set: 'those' }]), { code: 'ENOENT', index: 1 });
  await refuses(kernel.apply(ns, [{ ...op, elements: ['fd00:9::c . 80', 'fd00:9::zz . 80'] }]), { code: 'EINVAL' });
  await refuses(
    kernel.apply(ns, [{ ...op, set: 'twins', elements: ['10.9.0.1 . tcp . 80 : 1', '10.9.0.1 . tcp . 80 : 2'] }]),
    {
      code: 'EEXIST',
      extack: 'Could not process rule: File exists: 10.9.0.1 . tcp . 80',
      message: `nft.element.set set inet warren twins in netns ${nameOf(ns)}: EEXIST: Could not process rule: File exists: 10.9.0.1 . tcp . 80`,
    },
  );
  for (const wrong of [
    { ...op, family: 'ip' },
    { ...op, table: 'a b' },
    { ...op, set: 'these { }' },
    { ...op, elements: 'fd00:9::b . 80' },
    { ...op, elements: [7] },
    { ...op, elements: [''] },
    { ...op, elements: ['fd00:9::b . 80, fd00:9::c . 80'] },
    { ...op, elements: ['fd00:9::b . 80 }; flush ruleset'] },
    { ...op, elements: ['fd00:9::b . 80\n'] },
  ]) {
    await assert.rejects(kernel.apply(ns, [wrong as never]), TypeError, JSON.stringify(wrong));
  }
});

kernelTest('tables live in their namespace, whatever path leads there', async ({ kernel, netns, defer }) => {
  const ns = await netns();
  await kernel.apply(ns, [{ op: 'nft.set', table: { family, name, text: first } }]);
  const sleeper = spawn('ip', ['netns', 'exec', nameOf(ns), 'sleep', '60']);
  defer(() => sleeper.kill('SIGKILL'));
  const path = `/proc/${sleeper.pid}/ns/net`;
  const { inode } = (await kernel.identify(ns.path)) ?? assert.fail('no namespace');
  await eventually(async () => assert.equal((await kernel.identify(path))?.inode, inode));
  const query = { nft: [{ family, name }] } as const;
  assert.deepEqual((await kernel.read({ path }, query)).nft, [{ family, name, text: first }]);
  await kernel.apply({ path }, [{ op: 'nft.set', table: { family, name, text: second } }]);
  assert.deepEqual((await kernel.read(ns, query)).nft, [{ family, name, text: second }]);
});

kernelTest('tables live in their namespace', async ({ kernel, netns }) => {
  const [one, two] = [await netns(), await netns()];
  await kernel.apply(one, [{ op: 'nft.set', table: { family, name, text: first } }]);
  assert.deepEqual((await kernel.read(two, { nft: [{ family, name }] })).nft, []);
});
