import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Counts } from '../../src/agent/drops.ts';
import { dropsIn, warningOf } from '../../src/agent/drops.ts';

const at = (txDropped: number, { tso = true, refused = 7 } = {}): Counts => ({
  refused,
  networks: new Map([['app', { netns: 'warren-1048576', txDropped, tso }]]),
});

test('drops that go on while IPsec refuses nothing are told, with the cure', () => {
  const [drops, ...more] = dropsIn([at(10), at(13), at(20)]);
  assert.deepEqual(
    [drops, more],
    [{ network: 'app', netns: 'warren-1048576', dropped: 10, seconds: 10, tso: true }, []],
  );
  assert.match(
    warningOf(drops ?? assert.fail()),
    /"app".* 10 packets .*ip netns exec warren-1048576 ethtool -K vx0 tso off/,
  );
});

test('once is not enough, nor few, nor what IPsec has refused', () => {
  assert.deepEqual(dropsIn([at(10), at(20)]), []);
  assert.deepEqual(dropsIn([at(10), at(20), at(20)]), []);
  assert.deepEqual(dropsIn([at(10), at(12), at(20)]), []);
  assert.deepEqual(dropsIn([at(10), at(20), at(30, { refused: 8 })]), []);
  assert.deepEqual(dropsIn([at(10, { refused: 6 }), at(20), at(30)]), []);
});

test('with tso off it takes many: multicast that goes nowhere is among them', () => {
  const off = { tso: false };
  assert.deepEqual(dropsIn([at(0, off), at(49, off), at(99, off)]), []);
  const [drops] = dropsIn([at(0, off), at(50, off), at(100, off)]);
  assert.match(warningOf(drops ?? assert.fail()), /multicast/);
});

test('a network that has come meanwhile has no past', () => {
  const none: Counts = { refused: 7, networks: new Map() };
  assert.deepEqual(dropsIn([none, at(100), at(200)]), []);
  assert.deepEqual(dropsIn([at(0), at(100), none]), []);
});
