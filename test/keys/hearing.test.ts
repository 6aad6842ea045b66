import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SaCounters } from '../../src/kernel/state.ts';
import type { Hearing } from '../../src/keys/hearing.ts';
import { listen, lookMs, patience } from '../../src/keys/hearing.ts';

const empty = { out: 36, into: 16 };
const zero: SaCounters = {
  bytes: 0,
  packets: 0,
  addTime: 1,
  oseq: 0,
  seq: 0,
  replayWindow: 0,
  replay: 0,
  integrityFailed: 0,
};

/** One end, whose SAs count what the test says was sent and received between two looks. */
class End {
  tx = 1;
  now = 0;
  out = zero;
  into = zero;
  hearing: Hearing | undefined;

  look({ data = 0, probes = 0, got = 0, gotProbes = 0, refused = 0 } = {}) {
    const { out, into } = this;
    this.out = { ...out, packets: out.packets + data + probes, bytes: out.bytes + data * 78 + probes * empty.out };
    const bytes = into.bytes + got * 58 + gotProbes * empty.into;
    this.into = { ...into, packets: into.packets + got + gotProbes, bytes, replay: into.replay + refused };
    this.now += lookMs;
    const heard = listen(this.hearing, this, this, empty, this.now);
    this.hearing = heard.hearing;
    return heard;
  }

  /** One that both have been heard under. */
  static used(): End {
    const end = new End();
    end.look({ data: 5, got: 5 });
    return end;
  }
}

test('who got data and sent nothing answers; a datagram without data is not answered, or they would go on for ever', () => {
  const end = End.used();
  assert.equal(end.look({ got: 1 }).answer, true);
  assert.equal(end.look({ got: 1, gotProbes: 3 }).answer, true);
  assert.equal(end.look({ gotProbes: 2 }).answer, false);
  assert.equal(end.look({ got: 9, data: 1 }).answer, false);
  assert.equal(end.look({ got: 9, probes: 1 }).answer, false);
  assert.equal(end.look().answer, false);
});

test('who sends data and hears nothing, some looks in a row, is deaf; whatever came starts anew', () => {
  for (const came of [{ got: 1 }, { gotProbes: 1 }, { refused: 1 }]) {
    const end = End.used();
    const run = (times: number) => Array.from({ length: times }, () => end.look({ data: 1 }).deaf);
    assert.deepEqual(run(patience - 1), Array(patience - 1).fill(false));
    assert.equal(end.look({ data: 1, ...came }).deaf, false);
    assert.deepEqual(run(patience), [...Array(patience - 1).fill(false), true]);
    assert.equal(end.look(came).deaf, false);
  }
});

test('a pause is no proof: only looks that found data sent are counted, and datagrams of our own are none', () => {
  const end = End.used();
  for (let i = 0; i < 10 * patience; i++) assert.equal(end.look({ probes: i % 2 }).deaf, false);
  for (let i = 1; i <= patience; i++) {
    assert.equal(end.look({ data: 1 }).deaf, i === patience);
    assert.equal(end.look().deaf, i === patience);
  }
});

test('of a session that was never heard, and of the one before, nothing is concluded', () => {
  const end = new End();
  for (let i = 0; i < 3 * patience; i++) assert.equal(end.look({ data: 1 }).deaf, false);
  const next = End.used();
  next.look({ data: 1 });
  next.tx = 2;
  for (let i = 1; i <= patience + 1; i++) assert.equal(next.look({ data: 1 }).deaf, i > patience);
});

test('it is known since when nothing was sent', () => {
  const end = End.used();
  const { now } = end;
  end.look({ got: 3 });
  assert.equal(end.look().hearing.sentAt, now);
  assert.equal(end.look({ probes: 1 }).hearing.sentAt, end.now);
});
