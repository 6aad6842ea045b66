import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Ip } from '../../src/model/ip.ts';
import { capacityOf } from '../../src/plan/mtu.ts';
import { node } from '../support/world.ts';

test('what fits: plain, in ESP, in ESP in UDP', () => {
  const six = 'fd77::1' as Ip;
  for (const [underlayMtu, underlay, plain, esp, udp] of [
    [1500, undefined, 1450, 1416, 1408],
    [1500, six, 1430, 1396, 1388],
    [9000, undefined, 8950, 8916, 8908],
    [1403, undefined, 1353, 1316, 1308],
  ] as const) {
    const at = node('a', 1, { underlayMtu, ...(underlay && { underlay }) });
    const inUdp = { ...at, encap: 'udp' } as const;
    assert.deepEqual(
      [capacityOf(at, false), capacityOf(inUdp, false), capacityOf(at, true), capacityOf(inUdp, true)],
      [plain, plain, esp, udp],
    );
  }
});
