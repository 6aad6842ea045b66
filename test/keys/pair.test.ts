import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sa, SaCounters } from '../../src/kernel/state.ts';
import type { Announcement } from '../../src/keys/announcement.ts';
import type { Abilities } from '../../src/keys/cipher.ts';
import type { ExchangeKey } from '../../src/keys/exchange.ts';
import { newExchange } from '../../src/keys/exchange.ts';
import { newIdentity } from '../../src/keys/identity.ts';
import type { Ends, Input, Outcome, PairState } from '../../src/keys/pair.ts';
import { probeMs, silentMs } from '../../src/keys/passage.ts';
import { expiresAt, graceMs, usualLimits } from '../../src/keys/rotation.ts';
import { type Half, ported, saKey, saOf, sightOf, type Way } from '../../src/keys/sa.ts';
import { step } from '../../src/keys/step.ts';
import type { ClusterId } from '../../src/model/id.ts';
import type { Ip } from '../../src/model/ip.ts';
import { nodeId } from '../support/world.ts';

/** One node alone, its peer played by hand: what is refused, what is waited for, and when. */
const ends: Ends = { cluster: 'clusteraaaaaaaaa' as ClusterId, self: { id: nodeId('a') }, peer: { id: nodeId('b') } };
const both: Abilities = { ciphers: ['aes-256-gcm', 'chacha20-poly1305'], fastAes: true };
const identity = newIdentity().key;
const counters: SaCounters = {
  bytes: 0,
  packets: 0,
  addTime: 1,
  oseq: 0,
  seq: 0,
  replay: 0,
  replayWindow: 0,
  integrityFailed: 0,
};

class Node {
  state: PairState | undefined;
  now = 1000;
  tx: number | undefined;
  readonly kernel = new Map<string, SaCounters | 'other'>();
  readonly made: Outcome[] = [];

  turn(fields: Partial<Input> = {}): Outcome {
    const { state, outcome } = step(ends, this.state, {
      now: this.now,
      date: '2026-01-01T00:00:00.000Z',
      sight: { tx: this.tx, find: ({ direction, spi }) => this.kernel.get(`${direction} ${spi}`) },
      announcement: undefined,
      index: 1,
      abilities: both,
      encap: 'auto',
      socket: true,
      floor: 0,
      rekey: false,
      deaf: false,
      nat: false,
      limits: usualLimits,
      fresh: newExchange,
      ...fields,
    });
    this.state = state;
    return outcome;
  }

  /** And the kernel does as it is told. */
  obeyed(fields: Partial<Input> = {}): Outcome {
    const outcome = this.turn(fields);
    for (const { direction, spi } of outcome.add) this.kernel.set(`${direction} ${spi}`, { ...counters });
    this.tx = outcome.tx;
    return outcome;
  }

  get own() {
    return this.state?.own ?? assert.fail();
  }

  /** What the peer says, having heard our newest. */
  peer(generation: number, stage?: 'known' | 'ready' | 'moved', fields: Partial<Announcement> = {}): Announcement {
    const { key } = this.#keys[generation] ?? assert.fail();
    const heard = stage && { generation: this.own.number, key: this.own.key, stage };
    const { cluster, self, peer } = ends;
    const said = { cluster, from: peer.id, to: self.id, identity, index: 2, generation, key, abilities: both };
    return { ...said, encap: 'esp', created: '', heard, ...fields };
  }
  readonly #keys = Array.from({ length: 6 }, newExchange);

  /** In use on both sides; `silent`: although nothing has come. */
  up(silent = false): this {
    this.obeyed();
    for (const stage of ['known', 'ready', 'ready', 'moved'] as const)
      this.obeyed({ announcement: this.peer(1, stage) });
    const session = this.state?.sessions.at(-1);
    assert.ok(session?.doneAt !== undefined);
    for (const sa of silent ? [] : [`in ${session.rx}`, `out ${session.tx}`])
      this.kernel.set(sa, { ...counters, packets: 10 });
    return this;
  }
}

test('each stage is said when it is seen in the kernel, and not before', () => {
  const node = new Node();
  assert.equal(node.obeyed().saying?.heard, undefined);
  const met = node.turn({ announcement: node.peer(1) });
  assert.deepEqual([met.add.length, met.saying, met.tx], [2, undefined, undefined]);
  for (const { direction, spi } of met.add) node.kernel.set(`${direction} ${spi}`, counters);
  const ready = node.turn();
  assert.deepEqual([ready.saying?.heard?.stage, ready.tx], ['ready', undefined], 'the peer has not said ready');
  const known = node.turn({ announcement: node.peer(1, 'known') });
  assert.deepEqual([known.tx, known.forget.length], [undefined, 0], 'it has only seen ours');
  const told = node.turn({ announcement: node.peer(1, 'ready') });
  assert.deepEqual([told.saying?.heard?.stage, told.tx, told.forget.length], ['ready', met.add[1]?.spi, 1]);
  node.tx = told.tx;
  assert.equal(node.turn().saying?.heard?.stage, 'moved');
});

test('another key under our number is not ours, whatever the peer can receive with it', () => {
  const node = new Node();
  node.obeyed();
  node.obeyed({ announcement: node.peer(1) });
  node.obeyed();
  const heard = { generation: 1, key: newExchange().key, stage: 'ready' } as const;
  const outcome = node.obeyed({ announcement: node.peer(1, 'ready', { heard }) });
  assert.deepEqual([outcome.tx, node.own.number, node.own.reason], [undefined, 2, 'behind']);
});

test('what was offered goes on receiving when its other half is lost, what was not goes', () => {
  for (const offered of [true, false]) {
    const node = new Node();
    node.obeyed();
    const { add } = node.obeyed({ announcement: node.peer(1) });
    if (offered) assert.equal(node.obeyed().saying?.heard?.stage, 'ready');
    node.kernel.delete(`out ${add[1]?.spi}`);
    const { keep } = node.turn();
    assert.equal(keep.in.includes(add[0]?.spi ?? 0), offered);
    assert.deepEqual([node.own.number, node.own.reason], [2, 'lost']);
  }
});

test('an SPI somebody else has is left out', () => {
  const node = new Node();
  node.obeyed();
  const spi = ((2 << 18) | (1 << 9) | 1) >>> 0;
  node.kernel.set(`in ${spi}`, 'other');
  assert.equal(node.obeyed({ announcement: node.peer(1) }).add.length, 0);
  const next = node.obeyed();
  assert.deepEqual([node.own.number, node.own.reason, next.add.length], [2, 'lost', 2]);
});

test('a number that would look like a living one in an SPI is left out', () => {
  const node = new Node().up();
  node.obeyed({ floor: 512, rekey: true });
  assert.deepEqual([node.own.number, node.own.reason], [514, 'request']);
});

test('a peer that knows more of our numbers than we do tells where to go on', () => {
  const node = new Node();
  node.obeyed();
  const heard = { generation: 40, key: newExchange().key, stage: 'moved' } as const;
  const outcome = node.obeyed({ announcement: node.peer(1, 'known', { heard }) });
  assert.deepEqual([node.own.number, node.own.reason, outcome.add.length], [41, 'behind', 0]);
});

test('no cipher in common, and a key that is none, are said and never used', () => {
  const node = new Node();
  node.obeyed({ abilities: { ciphers: ['aes-256-gcm'], fastAes: true } });
  const abilities: Abilities = { ciphers: ['chacha20-poly1305'], fastAes: true };
  const options = { abilities: { ciphers: ['aes-256-gcm'] as const, fastAes: true } };
  const first = node.obeyed({ ...options, announcement: node.peer(1, 'known', { abilities }) });
  assert.deepEqual([first.add, first.status.trouble], [[], 'no_common_cipher']);
  const key = Buffer.alloc(32).toString('base64url') as ExchangeKey;
  const weak = node.obeyed({ ...options, announcement: node.peer(2, 'known', { key }) });
  assert.deepEqual([weak.add, weak.status.trouble, weak.status.up], [[], 'weak_key', false]);
});

test('what was in use stays in use while a peer says nonsense', () => {
  const node = new Node().up();
  const { tx } = node;
  for (const [announcement, reason] of [
    [node.peer(1, 'known'), 'older'],
    [node.peer(1, 'moved', { key: newExchange().key }), 'contradictory'],
    [node.peer(2, 'moved', { identity: newIdentity().key }), 'identity_changed'],
  ] as const) {
    const outcome = node.obeyed({ announcement });
    assert.deepEqual([outcome.refused, outcome.tx, outcome.add.length], [reason, tx, 0]);
  }
});

test('a sending SA that vanished is blocked at once, and another generation begun', () => {
  for (const lose of ['out', 'in'] as const) {
    const node = new Node().up();
    const { tx } = node;
    const session = node.state?.sessions[0] ?? assert.fail();
    node.kernel.delete(`${lose} ${lose === 'out' ? session.tx : session.rx}`);
    const outcome = node.obeyed();
    assert.equal(outcome.tx, lose === 'out' ? undefined : tx, 'the peer still hears us');
    assert.deepEqual([node.own.number, node.own.reason, outcome.add.length], [2, 'lost', 0]);
    // It comes back: nobody knows what was sent with it.
    node.kernel.set(`${lose} ${lose === 'out' ? session.tx : session.rx}`, counters);
    assert.equal(node.obeyed().tx, lose === 'out' ? undefined : tx);
    const answer = node.obeyed({ announcement: node.peer(2, 'ready') });
    assert.equal(answer.add.length, 2);
    assert.equal(node.obeyed().tx, answer.add[1]?.spi);
  }
});

test('one that counts from 0 again, or was added at another time, is another', () => {
  for (const change of [{ oseq: 3 }, { addTime: 2, oseq: 9 }] as Partial<SaCounters>[]) {
    const node = new Node().up();
    const out = `out ${node.tx}`;
    node.kernel.set(out, { ...counters, oseq: 5 });
    assert.equal(node.obeyed().tx, node.tx);
    node.kernel.set(out, { ...counters, ...change });
    const outcome = node.obeyed();
    assert.deepEqual([outcome.tx, outcome.keep.out, node.own.reason], [undefined, [], 'lost']);
  }
});

test('wishes for another generation while one is on its way are the same wish', () => {
  const node = new Node().up();
  for (let i = 0; i < 100; i++) node.obeyed({ rekey: true });
  assert.equal(node.own.number, 2);
});

test('a kernel that takes no SA is asked ever more seldom', () => {
  const node = new Node();
  node.turn();
  for (const end = node.now + 600_000; node.now < end; node.now += 100) node.turn({ announcement: node.peer(1) });
  assert.ok(node.own.number > 5 && node.own.number < 25, `${node.own.number} generations in ten minutes`);
});

test('the last fifth of the time is spread, and a clock that began anew means now', () => {
  const node = new Node().up();
  const session = node.state?.sessions[0] ?? assert.fail();
  const ages = Array.from({ length: 200 }, (_, own) => {
    const ours = expiresAt(ends, { ...session, own, sendingSince: 0 }, usualLimits);
    const theirs = expiresAt(
      { ...ends, self: ends.peer, peer: ends.self },
      { ...session, own, sendingSince: 0 },
      usualLimits,
    );
    assert.notEqual(ours, theirs);
    return ours / usualLimits.ageMs;
  });
  assert.ok(Math.min(...ages) >= 0.8 && Math.min(...ages) < 0.82 && Math.max(...ages) > 0.98 && Math.max(...ages) <= 1);
  node.now += graceMs;
  const due = node.obeyed().again ?? assert.fail();
  node.now = due - 1;
  node.obeyed();
  assert.equal(node.own.number, 1);
  node.now = due;
  node.obeyed();
  assert.deepEqual([node.own.number, node.own.reason], [2, 'age']);
  const other = new Node().up();
  other.now = 0;
  other.obeyed();
  assert.equal(other.own.reason, 'age');
});

test('other abilities are announced with another generation', () => {
  const node = new Node().up();
  const outcome = node.obeyed({ abilities: { ...both, fastAes: false } });
  assert.deepEqual([node.own.reason, outcome.saying?.abilities.fastAes, outcome.tx], ['changed', false, node.tx]);
});

test('a wish for UDP by either end makes the next session one in UDP, and is announced with another generation', () => {
  for (const [ours, theirs, agreed] of [
    ['esp', 'esp', 'esp'],
    ['udp', 'esp', 'udp'],
    ['auto', 'udp', 'udp'],
    ['esp', 'udp', 'udp'],
  ] as const) {
    const node = new Node();
    assert.equal(node.obeyed({ encap: ours }).saying?.encap, ours === 'udp' ? 'udp' : 'esp');
    const { add, socket } = node.obeyed({ encap: ours, announcement: node.peer(1, 'known', { encap: theirs }) });
    assert.deepEqual(
      [add.map(({ encap }) => encap), socket],
      [[agreed, agreed], agreed === 'udp'],
      `${ours} ${theirs}`,
    );
  }
  const node = new Node().up();
  const { tx } = node;
  const changed = node.obeyed({ encap: 'udp' });
  assert.deepEqual([node.own.reason, changed.saying?.encap, changed.tx], ['changed', 'udp', tx]);
});

test('without a socket nothing begins in UDP, and what there is goes on', () => {
  const node = new Node().up();
  const { tx } = node;
  node.obeyed({ encap: 'udp', socket: false });
  const met = node.obeyed({ encap: 'udp', socket: false, announcement: node.peer(2, 'known') });
  assert.deepEqual([met.add, met.socket, met.status.trouble, met.tx], [[], true, 'no_udp_port', tx]);
  assert.equal(met.saying?.heard?.stage, 'known', 'the peer is not told to use it');
  assert.equal(node.obeyed({ encap: 'udp', socket: true }).add.length, 2);
});

test('a peer that is not heard under ESP for 3 s after both moved is asked for UDP, once and for all', () => {
  const node = new Node().up(true);
  const again = node.obeyed().again ?? assert.fail();
  assert.equal(again, node.now + probeMs, 'meanwhile it probes itself');
  node.now += silentMs - 1;
  node.obeyed();
  assert.equal(node.own.number, 1);
  node.now += 1;
  const told = node.obeyed();
  assert.deepEqual([node.own.number, node.own.reason, told.saying?.encap], [2, 'changed', 'udp']);
  assert.deepEqual([told.status.blocked, told.status.trouble], [true, 'esp_blocked']);
  const { add } = node.obeyed({ announcement: node.peer(2, 'known') });
  assert.deepEqual(
    add.map(({ encap }) => encap),
    ['udp', 'udp'],
  );
  for (const stage of ['ready', 'ready', 'moved'] as const) node.obeyed({ announcement: node.peer(2, stage) });
  const { trouble, encap } = node.obeyed().status;
  assert.deepEqual([trouble, encap], [undefined, 'udp']);
  // It is heard by now, and the next generation asks for the same.
  node.kernel.set(`in ${node.state?.sessions.at(-1)?.rx}`, { ...counters, packets: 1 });
  node.now += silentMs;
  assert.equal(node.obeyed({ rekey: true }).saying?.encap, 'udp');
});

test('a packet that came, even one that was refused, means that ESP passes', () => {
  for (const came of [{ packets: 1 }, { integrityFailed: 1 }, { replay: 1 }] as Partial<SaCounters>[]) {
    const node = new Node().up(true);
    node.kernel.set(`in ${node.state?.sessions[0]?.rx}`, { ...counters, ...came });
    node.now += 10 * silentMs;
    assert.deepEqual([node.obeyed().status.blocked, node.own.number], [false, 1], JSON.stringify(came));
  }
});

test('who may use nothing but ESP says that it is blocked, and goes on', () => {
  const node = new Node().up(true);
  node.now += silentMs;
  const outcome = node.obeyed({ encap: 'esp' });
  assert.deepEqual([outcome.status.trouble, node.own.number, outcome.tx], ['esp_blocked', 1, node.tx]);
});

test('a host that is not heard in UDP either is tried in ESP with the next generation', () => {
  const node = new Node().up(true);
  node.now += silentMs;
  node.obeyed();
  node.obeyed({ announcement: node.peer(2, 'known') });
  for (const stage of ['ready', 'ready', 'moved'] as const) node.obeyed({ announcement: node.peer(2, stage) });
  node.now += 10 * silentMs;
  assert.equal(node.obeyed().status.encap, 'udp', 'that alone is no reason for new keys');
  // What was found out was found out while nothing passed.
  const rx = `in ${node.state?.sessions.at(-1)?.rx}`;
  node.kernel.set(rx, { ...counters, packets: 1 });
  const open = node.obeyed();
  assert.deepEqual([open.saying?.encap, node.own.reason], ['esp', 'open'], 'it is heard again');
});

test('a pair that is deaf begins another generation: in ESP until it was found blocked, in UDP where a NAT is between', () => {
  const node = new Node().up();
  node.obeyed({ deaf: true });
  assert.deepEqual([node.own.number, node.own.reason, node.own.encap], [2, 'silence', 'esp']);
  node.obeyed({ deaf: true });
  assert.equal(node.own.number, 2, 'it has not been answered yet');

  const blocked = new Node().up(true);
  blocked.now += silentMs;
  blocked.obeyed({ encap: 'esp', deaf: true });
  assert.equal(blocked.own.number, 1, 'nothing new is to be found out');

  for (const nat of [false, true]) {
    const inUdp = new Node();
    inUdp.obeyed();
    for (const stage of ['known', 'ready', 'ready', 'moved'] as const)
      inUdp.obeyed({ announcement: inUdp.peer(1, stage, { encap: 'udp' }) });
    inUdp.obeyed({ deaf: true, nat });
    assert.equal(inUdp.own.number, nat ? 2 : 1);
  }
});

test('a probe goes out before `moved` is said, and three more while the SA carries nothing else', () => {
  const run = (traffic: boolean): number[] => {
    const node = new Node();
    const probes: number[] = [];
    const { obeyed } = node;
    const turn = (announcement?: Announcement) => {
      const outcome = obeyed.call(node, { announcement, encap: 'esp' });
      if (outcome.probe) probes.push(node.now);
      if (outcome.saying?.heard?.stage === 'moved') assert.ok(probes.length > 0);
      const out = `out ${node.tx}`;
      if (node.tx !== undefined) node.kernel.set(out, { ...counters, packets: probes.length + (traffic ? 5 : 0) });
    };
    turn();
    for (const stage of ['known', 'ready', 'ready', 'moved'] as const) turn(node.peer(1, stage));
    for (const end = node.now + 60_000; node.now < end; node.now += 100) turn();
    return probes.map((at) => at - 1000);
  };
  assert.deepEqual(run(false), [0, 1000, 2000, 3000]);
  assert.deepEqual(run(true), [0]);
});

test('an SA of ours is known by all that makes it one', () => {
  const way = { local: '192.0.2.1' as Ip, remote: '192.0.2.2' as Ip, reqid: 7, directions: true, port: 4500 };
  const half: Half = { direction: 'out', spi: 300, cipher: 'aes-256-gcm', encap: 'esp' };
  const sa: Sa = { ...saOf(way, half, { packets: 1, bytes: 1 }), counters };
  const find = (have: Sa, at = way, what = half) => sightOf(new Map([[saKey(have), have]]), at, undefined).find(what);
  assert.equal(find(sa), counters);
  assert.equal(find(sa, way, { ...half, spi: 301 }), undefined);
  const others: Partial<Sa>[] = [
    { src: '192.0.2.3' },
    { reqid: 8 },
    { mode: 'tunnel' },
    { esn: false },
    { partial: true },
    { aead: { name: 'rfc4106(gcm(aes))', icv: 64 } },
    { encap: { sport: 4500, dport: 4500 } },
  ];
  for (const other of others) assert.equal(find({ ...sa, ...other }), 'other', JSON.stringify(other));
  assert.equal(find(sa, way, { ...half, cipher: 'chacha20-poly1305' }), 'other');
  assert.equal(find(sa, way, { ...half, encap: 'udp' }), 'other');
  const inUdp = saOf(way, { ...half, encap: 'udp' }, { packets: 1, bytes: 1 });
  assert.deepEqual(inUdp.encap, { sport: 4500, dport: 4500 });
  assert.equal(find({ ...inUdp, counters }, way, { ...half, encap: 'udp' }), counters);
  assert.deepEqual(saOf({ ...way, directions: false }, { ...half, direction: 'in' }, { packets: 1, bytes: 1 }), {
    src: '192.0.2.2',
    dst: '192.0.2.1',
    spi: 300,
    reqid: 7,
    mode: 'transport',
    aead: { name: 'rfc4106(gcm(aes))', icv: 128 },
    esn: true,
    replayWindow: 1024,
  });
});

test('behind a NAT the peer has another port, and this host keeps its own mapping alive where the kernel can', () => {
  const way = { local: '192.0.2.1' as Ip, remote: '192.0.2.2' as Ip, reqid: 7, directions: true, port: 4500 };
  const half: Half = { direction: 'out', spi: 300, cipher: 'aes-256-gcm', encap: 'udp' };
  const make = (at: Way, direction: 'in' | 'out', encap: 'esp' | 'udp' = 'udp'): Sa =>
    saOf(at, { ...half, direction, encap }, { packets: 1, bytes: 1 });
  const moved = { ...way, port: 1234 };
  assert.deepEqual(make(moved, 'out').encap, { sport: 4500, dport: 1234 });
  assert.deepEqual(make(moved, 'in').encap, { sport: 1234, dport: 4500 });
  for (const direction of ['in', 'out'] as const) {
    const sa = make(way, direction);
    assert.equal(ported(way, sa), undefined);
    assert.deepEqual(ported(moved, { ...sa, counters }), make(moved, direction), 'nothing else of it changes');
    assert.equal(ported(moved, make(way, direction, 'esp')), undefined);
  }
  const behind = { ...way, keepalive: 20 };
  assert.deepEqual(
    [
      make(behind, 'out'),
      make(behind, 'in'),
      make(behind, 'out', 'esp'),
      make({ ...behind, directions: false }, 'out'),
    ].map(({ keepalive }) => keepalive),
    [20, undefined, undefined, undefined],
  );
});
