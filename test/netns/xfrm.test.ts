import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { inspect } from 'node:util';
import type { KernelError } from '../../src/kernel/error.ts';
import type { Policy, PolicyId, Sa, SaId } from '../../src/kernel/state.ts';
import { Secret } from '../../src/model/secret.ts';
import { inside, kernelTest, refuses } from '../support/netns.ts';
import { chacha, flow, four, gcm, key, policy, reqid, sa, six } from '../support/xfrm.ts';

/** `ip -s xfrm state`, one text per SA, by its SPI. */
function states(text: string): Map<number, string> {
  const each = text.split(/^(?=src )/m).filter((part) => part.trim() !== '');
  return new Map(each.map((part) => [Number(/spi (0x[0-9a-f]+)/.exec(part)?.[1]), part]));
}

/** Without what the kernel alone knows. */
function wished({ counters: _, ...sa }: Sa): Sa {
  return sa;
}

kernelTest('SAs: every field reads back, ip says the same, deleted, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  const soft = { bytes: 1000, packets: 2 ** 40, seconds: 3000, useSeconds: 4000 };
  const hard = { bytes: 5000, packets: 2 ** 41, seconds: 7000, useSeconds: 8000 };
  const sas: [Sa, RegExp[]][] = [
    [
      sa(...four, 0x1001),
      [/flag esn/, /replay_window 128, bitmap-length 4/, /aead rfc4106\(gcm\(aes\)\) 0x(01){36} \(288 bits\) 128/],
    ],
    [
      sa(...six, 0x1002, { aead: chacha }),
      [/src fd00:9::1 dst fd00:9::2/, /aead rfc7539esp\(chacha20,poly1305\) 0x(02){36}/],
    ],
    [sa(...four, 0x1003, { esn: false, replayWindow: 32 }), [/replay-window 32 /, /anti-replay context/]],
    [sa(...four, 0x1004, { esn: false, replayWindow: 33 }), [/replay_window 33, bitmap-length 2/]],
    [sa(...four, 0x1005, { esn: true, replayWindow: 4096 }), [/replay_window 4096, bitmap-length 128/]],
    [
      sa(...four, 0x1006, { encap: { sport: 4500, dport: 20001 } }),
      [/encap type espinudp sport 4500 dport 20001 addr 0.0.0.0/],
    ],
    [sa(...six, 0x1007, { encap: { sport: 4500, dport: 4501 } }), [/encap type espinudp sport 4500 dport 4501/]],
    [
      sa(...four, 0x1008, { soft, hard, reqid: 0 }),
      [
        /limit: soft 1000\(bytes\), hard 5000\(bytes\)/,
        /limit: soft 1099511627776\(packets\), hard 2199023255552\(packets\)/,
        /expire add: soft 3000\(sec\), hard 7000\(sec\)/,
        /expire use: soft 4000\(sec\), hard 8000\(sec\)/,
      ],
    ],
    [sa(...four, 0x1009, { dir: 'in' }), []],
    [withoutWindow(sa(...four, 0x100a, { dir: 'out' })), [/replay_window 0, bitmap-length 0/]],
    // iproute2 has no word for it.
    [
      withoutWindow(sa(...four, 0x100b, { dir: 'out', encap: { sport: 4500, dport: 4501 }, keepalive: 20 })),
      [/encap type espinudp sport 4500 dport 4501/],
    ],
  ];
  await kernel.apply(
    ns,
    sas.map(([sa], i) => ({ op: 'sa.add', sa, key: key(i + 1) })),
  );
  const read = (await kernel.read(ns, { sas: true })).sas;
  assert.deepEqual(
    read.map(wished).sort((a, b) => a.spi - b.spi),
    sas.map(([sa]) => omitZeros(sa)),
  );
  const theirs = states(inside(ns, 'ip', '-d', '-s', 'xfrm', 'state'));
  assert.equal(theirs.size, sas.length);
  for (const [sa, words] of sas) {
    const text = theirs.get(sa.spi) ?? '';
    for (const word of [/proto esp spi/, /mode transport/, new RegExp(`reqid ${sa.reqid}\\(`), ...words]) {
      assert.match(text, word);
    }
    assert.ok(text.includes(`src ${sa.src} dst ${sa.dst}`), text);
    if (!sa.soft) assert.match(text, /soft \(INF\)\(bytes\), hard \(INF\)\(bytes\)[\s\S]*soft \(INF\)\(packets\)/);
  }
  const now = Date.now() / 1000;
  for (const { counters } of read) {
    assert.ok(counters && Math.abs(counters.addTime - now) < 60, inspect(counters));
    const { addTime: _, ...zero } = counters;
    assert.deepEqual(zero, { bytes: 0, packets: 0, oseq: 0, seq: 0, replayWindow: 0, replay: 0, integrityFailed: 0 });
  }
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      sas.map(([{ dst, spi }]) => ({ op: 'sa.del', sa: { dst, spi } })),
    );
    assert.deepEqual((await kernel.read(ns, { sas: true })).sas, []);
  }
});

function withoutWindow({ replayWindow: _, ...rest }: Sa): Sa {
  return rest;
}

function omitZeros(sa: Sa): Sa {
  return Object.fromEntries(Object.entries(sa).filter(([, value]) => value !== false)) as Sa;
}

kernelTest('SAs the kernel will not have, with its words', async ({ kernel, netns }) => {
  const ns = await netns();
  const add = (more: Partial<Sa>, secret = key()) =>
    kernel.apply(ns, [{ op: 'sa.add', sa: sa(...four, 0x1001, more), key: secret }]);
  await refuses(add({ aead: { name: 'rfc4106(gcm(rot13))', icv: 128 } }), { op: 'sa.add', code: 'ENOSYS', index: 0 });
  await refuses(add({ aead: { ...gcm, icv: 77 } }), { code: 'ENOSYS' });
  await refuses(add({}, new Secret(new Uint8Array(7))), { code: 'EINVAL' });
  await refuses(add({ replayWindow: 0 }), { code: 'EINVAL', extack: 'ESN replay window must be > 0' });
  await refuses(add({ dir: 'out' }), { code: 'EINVAL', extack: 'Replay window should be 0 for output SA' });
  await add({});
  const again = { op: 'sa.add', sa: sa(...four, 0x1001), key: key() } as const;
  await refuses(kernel.apply(ns, [again]), {
    code: 'EEXIST',
    message: `sa.add src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x00001001 in netns ${ns.path.slice(11)}: EEXIST`,
  });
  await refuses(kernel.apply(ns, [{ ...again, op: 'sa.update', sa: sa(...four, 0x1002) }]), { code: 'ESRCH' });
  assert.equal((await kernel.read(ns, { sas: true })).sas.length, 1);
});

kernelTest('a wrong SA or policy is a TypeError before anything has happened', async ({ kernel, netns }) => {
  const ns = await netns();
  const good = sa(...four, 0x1001);
  const wrongSas: [object, RegExp][] = [
    [{ spi: 255 }, /sa.spi must be 256 or more/],
    [{ spi: 2 ** 32 }, /integer/],
    [{ dst: six[1] }, /src must be of dst's family/],
    [{ mode: 'tunnel' }, /mode must be transport/],
    [{ aead: undefined }, /aead must be an object/],
    [{ aead: { name: 'x'.repeat(64), icv: 128 } }, /1 to 63/],
    [{ replayWindow: 4097 }, /at most 4096/],
    [{ dir: 'fwd' }, /in or out/],
    [{ encap: { sport: 4500 } }, /encap.dport/],
    [{ soft: { bytes: -1 } }, /soft.bytes must be an integer/],
    [{ partial: true }, /partial must be absent/],
  ];
  for (const [more, message] of wrongSas) {
    const op = { op: 'sa.add', sa: { ...good, ...more } as Sa, key: key() } as const;
    await assert.rejects(
      kernel.apply(ns, [{ ...op, sa: good }, op]),
      (error) => error instanceof TypeError && message.test(error.message),
      String(message),
    );
  }
  await assert.rejects(kernel.apply(ns, [{ op: 'sa.add', sa: good, key: new Uint8Array(36) } as never]), TypeError);
  await assert.rejects(kernel.apply(ns, [{ op: 'sa.add', sa: good } as never]), TypeError);
  await assert.rejects(
    kernel.apply(ns, [{ op: 'sa.add', sa: good, key: new Secret(new Uint8Array()) }]),
    /key must be 1 to 512 bytes/,
  );
  const guard = { ...flow('in', ...four), priority: 1, action: 'block', tmpls: [] } as const;
  const tmpl = policy('in', ...four).tmpls[0];
  const wrongPolicies: [object, RegExp][] = [
    [{ dir: 'up' }, /in or out or fwd/],
    [{ selector: { src: '10.0.0.0/8', dst: '::/0' } }, /family/],
    [{ selector: { src: '10.0.0.0/8', dst: '10.0.0.1' } }, /\/length/],
    [{ selector: { ...guard.selector, dportMask: 1 } }, /given only with dport/],
    [{ selector: { ...guard.selector, dport: 1, dportMask: 0 } }, /dportMask must be 1 or more/],
    [{ action: 'drop' }, /allow or block/],
    [{ tmpls: Array(7).fill(tmpl) }, /at most 6/],
    [{ tmpls: [{ ...tmpl, mode: 'tunnel' }] }, /transport/],
    [{ tmpls: [{ ...tmpl, optional: true }] }, /optional must be absent/],
  ];
  for (const [more, message] of wrongPolicies) {
    await assert.rejects(
      kernel.apply(ns, [
        { op: 'policy.add', policy: guard },
        { op: 'policy.add', policy: { ...guard, ...more } as Policy },
      ]),
      (error) => error instanceof TypeError && message.test(error.message),
      String(message),
    );
  }
  const { sas, policies } = await kernel.read(ns, { sas: true, policies: true });
  assert.deepEqual([sas, policies], [[], []]);
});

kernelTest('policies: every field reads back, ip says the same, replaced, deleted, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  const policies: [Policy, RegExp][] = [
    [
      {
        dir: 'out',
        selector: { src: '0.0.0.0/0', dst: '0.0.0.0/0', proto: 17, dport: 4789 },
        priority: 2,
        action: 'block',
        tmpls: [],
      },
      /src 0.0.0.0\/0 dst 0.0.0.0\/0 proto udp dport 4789 uid 0\n\tdir out action block index \d+ priority 2 /,
    ],
    [
      policy('out', ...four, 0x1001),
      /src 10.9.0.1\/32 dst 10.9.0.2\/32[\s\S]*dir out action allow index \d+ priority 1 [\s\S]*tmpl src 10.9.0.1 dst 10.9.0.2\n\t\tproto esp spi 0x00001001\(4097\) reqid 4789\(0x000012b5\) mode transport\n\t\tlevel required share any \n\t\tenc-mask ffffffff auth-mask ffffffff comp-mask ffffffff/,
    ],
    [policy('in', ...four), /dir in action allow[\s\S]*tmpl src 10.9.0.1 dst 10.9.0.2\n\t\tproto esp spi 0x00000000/],
    [
      {
        dir: 'fwd',
        selector: { src: 'fd00:9::/64', dst: '::/0', proto: 6, sport: 1024, sportMask: 0xfc00, dport: 80 },
        priority: 4294967295,
        action: 'allow',
        tmpls: policy('in', ...six).tmpls.concat(policy('in', ...six, 0x1002).tmpls),
      },
      /src fd00:9::\/64 dst ::\/0 proto tcp sport 1024 dport 80 [\s\S]*dir fwd [\s\S]*priority 4294967295 [\s\S]*tmpl src fd00:9::1 dst fd00:9::2[\s\S]*tmpl src fd00:9::1 dst fd00:9::2\n\t\tproto esp spi 0x00001002/,
    ],
    [{ ...flow('in', ...six), priority: 0, action: 'allow', tmpls: [] }, /src fd00:9::1\/128 [\s\S]*priority 0 /],
  ];
  const read = async () => (await kernel.read(ns, { policies: true })).policies;
  await kernel.apply(
    ns,
    policies.map(([policy]) => ({ op: 'policy.add', policy })),
  );
  assert.deepEqual(new Set(await read()), new Set(policies.map(([policy]) => policy)));
  const theirs = inside(ns, 'ip', '-d', '-s', 'xfrm', 'policy').split(/^(?=src )/m);
  assert.equal(theirs.length, policies.length);
  for (const [, words] of policies)
    assert.equal(theirs.filter((text) => words.test(text)).length, 1, `${words}\n${theirs}`);

  // One per selector and direction, whatever the priority; set takes it over, add does not.
  const [guard] = policies[0] as [Policy, RegExp];
  const other: Policy = { ...guard, priority: 7, action: 'allow', tmpls: policy('out', ...four).tmpls };
  await refuses(kernel.apply(ns, [{ op: 'policy.add', policy: other }]), {
    op: 'policy.add',
    code: 'EEXIST',
    message: `policy.add src 0.0.0.0/0 dst 0.0.0.0/0 proto 17 dport 4789 dir out in netns ${ns.path.slice(11)}: EEXIST`,
  });
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(ns, [{ op: 'policy.set', policy: other }]);
    const found = (await read()).filter(({ dir, selector }) => dir === 'out' && selector.dport === 4789);
    assert.deepEqual(found, [other]);
  }
  // Almost the same selector is another policy.
  const near: PolicyId[] = [
    { dir: 'in', selector: guard.selector },
    { dir: 'out', selector: { ...guard.selector, proto: 6 } },
    { dir: 'out', selector: { ...guard.selector, dportMask: 0xfffe } },
    { dir: 'out', selector: { ...guard.selector, src: '0.0.0.0/1' } },
  ];
  await kernel.apply(
    ns,
    near.map((policy) => ({ op: 'policy.del', policy })),
  );
  assert.equal((await read()).length, policies.length);
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      policies.map(([{ dir, selector }]) => ({ op: 'policy.del', policy: { dir, selector } })),
    );
    assert.deepEqual(await read(), []);
  }
});

kernelTest('what others made is read, and is never taken for ours', async ({ kernel, netns }) => {
  const ns = await netns();
  const lines = `
    ip xfrm state add src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x2001 reqid 9 mode tunnel auth 'hmac(sha256)' 0x${'61'.repeat(32)} enc 'cbc(aes)' 0x${'62'.repeat(16)}
    ip xfrm state add src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x2002 reqid 4789 mode transport aead '${gcm.name}' 0x${'63'.repeat(36)} 128 mark 5
    ip xfrm state add src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x2003 reqid 4789 mode transport aead '${gcm.name}' 0x${'63'.repeat(36)} 128 sel src 10.9.0.1 dst 10.9.0.2 proto udp
    ip xfrm state add src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x2004 reqid 4789 mode transport aead '${gcm.name}' 0x${'63'.repeat(36)} 128 flag nopmtudisc
    ip xfrm state add src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x2005 reqid 4789 mode transport aead '${gcm.name}' 0x${'63'.repeat(36)} 128
    ip xfrm state add src 10.9.0.1 dst 10.9.0.2 proto esp spi 0x2006 reqid 4789 mode transport aead '${gcm.name}' 0x${'63'.repeat(36)} 128 replay-window 128 flag esn replay-oseq 7 replay-oseq-hi 3 replay-seq 9 replay-seq-hi 1
    ip xfrm policy add src 10.9.0.0/24 dst 10.9.0.0/24 dir in priority 500 tmpl src 192.0.2.1 dst 192.0.2.2 proto esp reqid 9 mode tunnel level use
    ip xfrm policy add src 10.8.0.0/24 dst 10.9.0.0/24 dir out priority 500 tmpl proto comp reqid 9 mode beet
    ip xfrm policy add src 10.9.0.0/24 dst 10.9.0.0/24 dev lo dir out priority 500 action block
    ip xfrm policy add src 10.9.0.0/24 dst 10.9.0.0/24 dir fwd priority 500 if_id 3
    ip xfrm policy add src 10.9.0.0/24 dst 10.7.0.0/24 dir fwd priority 500 limit time-hard 1000`;
  inside(ns, 'bash', '-ec', lines);
  const { sas, policies } = await kernel.read(ns, { sas: true, policies: true });
  const all = new Map(sas.map((sa) => [sa.spi, wished(sa)]));
  const plain: Sa = { src: four[0], dst: four[1], spi: 0x2005, reqid, mode: 'transport', aead: gcm };
  assert.deepEqual(all.get(0x2005), plain);
  const { aead: _, ...bare } = plain;
  assert.deepEqual(all.get(0x2001), { ...bare, spi: 0x2001, reqid: 9, mode: 'tunnel', partial: true });
  for (const spi of [0x2002, 0x2003, 0x2004]) assert.deepEqual(all.get(spi), { ...plain, spi, partial: true });
  const high = sas.find(({ spi }) => spi === 0x2006)?.counters;
  assert.deepEqual([high?.oseq, high?.seq], [3 * 2 ** 32 + 7, 2 ** 32 + 9]);
  assert.equal(sas.length, 6);

  const find = (dir: string, src: string, dst: string) =>
    policies.filter((p) => p.dir === dir && p.selector.src === src && p.selector.dst === dst);
  const base = { priority: 500, action: 'allow', tmpls: [] } as const;
  const selector = { src: '10.9.0.0/24', dst: '10.9.0.0/24' };
  const tunnel = {
    src: '192.0.2.1',
    dst: '192.0.2.2',
    proto: 'esp',
    mode: 'tunnel',
    reqid: 9,
    optional: true,
  } as const;
  assert.deepEqual(find('in', selector.src, selector.dst), [{ ...base, dir: 'in', selector, tmpls: [tunnel] }]);
  const beet = { src: '0.0.0.0', dst: '0.0.0.0', proto: 'comp', mode: 'other', reqid: 9 } as const;
  assert.deepEqual(find('out', '10.8.0.0/24', selector.dst)[0]?.tmpls, [beet]);
  assert.deepEqual(find('out', selector.src, selector.dst), [
    { ...base, dir: 'out', selector, action: 'block', partial: true },
  ]);
  assert.deepEqual(find('fwd', selector.src, selector.dst), [{ ...base, dir: 'fwd', selector, partial: true }]);
  assert.equal(find('fwd', selector.src, '10.7.0.0/24')[0]?.partial, true);
  assert.equal(policies.length, 5);
  // The same selector without the device is another policy: deleting it leaves theirs alone.
  await kernel.apply(ns, [{ op: 'policy.del', policy: { dir: 'out', selector } }]);
  assert.equal((await kernel.read(ns, { policies: true })).policies.length, 5);
});

kernelTest('a thousand SAs and policies in one apply; the first failure is named', async ({ kernel, netns }) => {
  const ns = await netns();
  const many = Array.from({ length: 1000 }, (_, i) => i);
  const peer = (i: number) => `10.8.${i >> 8}.${i & 255}`;
  const sas = many.map((i) => sa(four[0], peer(i), 0x10000 + i));
  const adds = sas.map((sa) => ({ op: 'sa.add', sa, key: key() }) as const);
  const sets = many.map((i) => ({ op: 'policy.set', policy: policy('out', four[0], peer(i), 0x10000 + i) }) as const);
  const timed = async <T>(what: string, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    console.log(`${what}: ${(performance.now() - start).toFixed(1)} ms`);
    return result;
  };
  await timed('1000 sa.add', () => kernel.apply(ns, adds));
  await timed('1000 policy.set', () => kernel.apply(ns, sets));
  await timed('1000 policy.set again', () => kernel.apply(ns, sets));
  const state = await timed('read both', () => kernel.read(ns, { sas: true, policies: true }));
  assert.deepEqual(
    state.sas.map(wished).sort((a, b) => a.spi - b.spi),
    sas,
  );
  assert.deepEqual(new Set(state.policies), new Set(sets.map(({ policy }) => policy)));
  const taken = many.map((i) => ({
    op: 'sa.add' as const,
    sa: i === 700 || i === 900 ? sa(four[0], peer(i), 0x10000 + i) : sa(four[0], peer(i), 0x20000 + i),
    key: key(),
  }));
  await refuses(kernel.apply(ns, taken), { op: 'sa.add', index: 700, code: 'EEXIST' });
  const ids: SaId[] = [...taken, ...adds, ...adds].map(({ sa }) => sa);
  await timed('3000 sa.del', () =>
    kernel.apply(
      ns,
      ids.map(({ dst, spi }) => ({ op: 'sa.del', sa: { dst, spi } })),
    ),
  );
  assert.deepEqual((await kernel.read(ns, { sas: true })).sas, []);
});

kernelTest(
  'an error of one op of many: what stands before it is done, what stands behind it not',
  async ({ kernel, netns }) => {
    const ns = await netns();
    const add = { op: 'sa.add', sa: sa(...four, 0x1001), key: key() } as const;
    const set = { op: 'policy.set', policy: policy('out', ...four) } as const;
    await refuses(kernel.apply(ns, [add, { op: 'addr.set', addr: { dev: 'nobody', address: '10.9.0.1/24' } }, set]), {
      op: 'addr.set',
      index: 1,
      code: 'ENODEV',
    });
    const { sas, policies } = await kernel.read(ns, { sas: true, policies: true });
    assert.deepEqual([sas.length, policies.length], [1, 0]);
    // ENOENT is what deleting an absent policy gives; of an update it must never be taken for success.
    await refuses(kernel.apply(ns, [{ op: 'sa.update', sa: sa(...four, 0x1002), key: key() }]), { code: 'ESRCH' });
  },
);

kernelTest('a key is in no error, no print, and nothing read', async ({ kernel, netns }) => {
  const ns = await netns();
  const secret = key(0x5a);
  const op = { op: 'sa.add', sa: sa(...four, 0x1001), key: secret } as const;
  await kernel.apply(ns, [op]);
  assert.match(inside(ns, 'ip', 'xfrm', 'state'), /0x(5a){36}/, 'the kernel has it');
  const error = await kernel.apply(ns, [op]).catch((error: KernelError) => error);
  const wrong = await kernel.apply(ns, [{ ...op, sa: { ...op.sa, spi: 1 } }]).catch((error: TypeError) => error);
  const state = await kernel.read(ns, { sas: true, policies: true, xfrmStat: true });
  assert.equal(state.sas.length, 1);
  const texts = [error, wrong, op, state, [secret], new Map([[secret, secret]])].flatMap((item) => [
    inspect(item, { depth: Infinity, showHidden: true }),
    inspect(item, { depth: Infinity, customInspect: false }),
    JSON.stringify(item),
    String(item),
  ]);
  texts.push(`${secret}`, JSON.stringify({ ...op }), inspect(structuredClone({ ...secret })));
  for (const text of texts) assert.doesNotMatch(text, /ZZ|5a|(90, *){2}/i, text);
  assert.match(inspect(op), /key: \[secret\]/);
  assert.equal(JSON.parse(JSON.stringify(op)).key, '[secret]');
  assert.deepEqual(secret.reveal(), new Uint8Array(36).fill(0x5a), 'it is still there for who asks');
  secret.wipe();
  assert.deepEqual(secret.reveal(), new Uint8Array(36));
});

/** How often a key stands in the writable memory of this process; another looks, as looking makes copies. `masked`: every bit turned over. */
function copies(masked: Uint8Array): number {
  const look = `
    const { openSync, readFileSync, readSync } = require('node:fs');
    const needle = Buffer.from(process.argv[1], 'hex').map((byte) => byte ^ 0xff).subarray(0, 16);
    const memory = openSync('/proc/${process.pid}/mem');
    let found = 0;
    for (const line of readFileSync('/proc/${process.pid}/maps', 'utf8').split('\\n')) {
      const [, from, to] = /^([0-9a-f]+)-([0-9a-f]+) rw/.exec(line) ?? [];
      if (!from) continue;
      const [start, end] = [Number('0x' + from), Number('0x' + to)];
      for (let at = start; at < end; at += 1 << 20) {
        // A little more than a step, so that none is missed between two.
        const part = Buffer.alloc(Math.min((1 << 20) + 15, end - at));
        try { readSync(memory, part, 0, part.length, at); } catch { continue; }
        for (let i = part.indexOf(needle); i >= 0; i = part.indexOf(needle, i + 1)) found++;
      }
    }
    console.log(found);`;
  return Number(
    execFileSync(process.execPath, ['-e', look, Buffer.from(masked).toString('hex')], { encoding: 'utf8' }),
  );
}

kernelTest('when a Secret is wiped, no copy of the key is left in this process', async ({ kernel, netns }) => {
  const ns = await netns();
  const masked = randomBytes(36);
  const bytes = new Uint8Array(new ArrayBuffer(36));
  for (const [i, byte] of masked.entries()) bytes[i] = byte ^ 0xff;
  const secret = new Secret(bytes);
  assert.equal(copies(masked), 1, 'only its own');
  const abort = new AbortController();
  const hints = kernel.watch(ns, ['sas'], abort.signal);
  const hint = hints[Symbol.asyncIterator]().next();
  await kernel.read(ns, { links: true }); // behind the watch in the queue: it is open now
  const op = { op: 'sa.add', sa: sa(...four, 0x1001), key: secret } as const;
  await kernel.apply(ns, [op]);
  await refuses(kernel.apply(ns, [op]), { code: 'EEXIST' });
  await kernel.apply(ns, [{ ...op, op: 'sa.update' }]);
  await assert.rejects(kernel.apply(ns, [op, { ...op, sa: { ...op.sa, spi: 1 } }]), TypeError);
  assert.equal((await kernel.read(ns, { sas: true })).sas.length, 1);
  assert.equal((await hint).done, false, 'news of it came, with the key');
  assert.equal(copies(masked), 1, 'only its own');
  secret.wipe();
  assert.equal(copies(masked), 0);
  abort.abort();
});
