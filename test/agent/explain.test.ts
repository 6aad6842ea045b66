import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explain } from '../../src/agent/explain.ts';
import { KernelError } from '../../src/kernel/error.ts';
import { WarrenError } from '../../src/model/error.ts';

const error = (op: string, code: string, subject = 'src 192.0.2.1 dst 192.0.2.2') =>
  new KernelError({ op, subject, errno: 1, code, index: 0 });

test('a kernel without IPsec, ESP or the cipher is a feature missing', () => {
  for (const [op, code, word] of [
    ['policy.add', 'EPROTONOSUPPORT', /xfrm/],
    ['policy.set', 'EPROTONOSUPPORT', /xfrm/],
    ['sa.add', 'EPROTONOSUPPORT', /ESP/],
    ['sa.add', 'ENOSYS', /cipher/],
    ['sa.add', 'ENOENT', /cipher/],
  ] as const) {
    const explained = explain(error(op, code));
    assert.ok(explained instanceof WarrenError, `${op} ${code}`);
    assert.equal(explained.code, 'kernel_feature_missing');
    assert.match(explained.message, word);
    assert.match(explained.hint ?? '', /modprobe/);
  }
});

test('a kernel without IPVS, or without the scheduler, is a feature missing', () => {
  for (const [op, code, subject, hint] of [
    ['ipvs.set', 'EPROTONOSUPPORT', 'tcp 10.64.0.7:80 scheduler rr in netns warren-1048576', 'modprobe ip_vs'],
    ['ipvs.dest.set', 'EPROTONOSUPPORT', 'tcp 10.64.0.7:80 destination 10.9.0.11:80', 'modprobe ip_vs'],
    ['read', 'EPROTONOSUPPORT', 'links, ipvs in netns warren-1048576', 'modprobe ip_vs'],
    ['ipvs.set', 'ENOENT', 'tcp 10.64.0.7:80 scheduler mh in netns warren-1048576', 'modprobe ip_vs_mh'],
  ] as const) {
    const explained = explain(error(op, code, subject));
    assert.ok(explained instanceof WarrenError, `${op} ${code}`);
    assert.equal(explained.code, 'kernel_feature_missing');
    assert.match(explained.message, /IPVS/);
    assert.equal(explained.hint, `load it with: ${hint}`);
  }
});

test('what a kernel with IPsec refuses stays what it is', () => {
  for (const [op, code] of [
    ['sa.add', 'EEXIST'],
    ['sa.add', 'EINVAL'],
    ['sa.update', 'ESRCH'],
    ['policy.add', 'EEXIST'],
    ['ipvs.dest.set', 'ESRCH'],
    ['ipvs.dest.set', 'ENOENT'],
    ['read', 'EPROTONOSUPPORT'],
  ] as const) {
    const plain = error(op, code);
    assert.equal(explain(plain), plain);
  }
});
