/** What goes over the wire, read by another implementation (dns-packet). WARREN_SEED=N repeats the random ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as packet from 'dns-packet';
import fc from 'fast-check';
import { encode, payload, roomOf } from '../../src/dns/encoder.ts';
import { Frames, framed } from '../../src/dns/frames.ts';
import type { Query } from '../../src/dns/query.ts';
import { readQuery } from '../../src/dns/query.ts';
import type { Name, Rr } from '../../src/dns/record.ts';
import { rcodes } from '../../src/dns/record.ts';
import type { Ip } from '../../src/model/ip.ts';
import { fromNumber } from '../../src/model/ip.ts';

const seed = Number(process.env.WARREN_SEED ?? Date.now() % 1e9);
const runs = { seed, numRuns: process.env.WARREN_LONG ? 20_000 : 1000 };

type Asked = { name?: string; type?: packet.RecordType; size?: number; flags?: number };

export function query({ name = 'db', type = 'A', size, flags = packet.RECURSION_DESIRED }: Asked = {}): Buffer {
  const opt = {
    type: 'OPT',
    name: '.',
    udpPayloadSize: size ?? 0,
    extendedRcode: 0,
    ednsVersion: 0,
    flags: 0,
    flag_do: false,
    options: [],
  };
  return packet.encode({
    type: 'query',
    id: 4711,
    flags,
    questions: [{ type, name }],
    ...(size === undefined ? {} : { additionals: [opt as unknown as packet.Answer] }),
  });
}

const read = (asked: Asked): Query => {
  const found = readQuery(query(asked));
  assert.ok(found && !('broken' in found));
  return found;
};

test('a query is read, its name in lower case, its letters kept', () => {
  const found = read({ name: 'dB.ApP', type: 'AAAA', size: 1400 });
  assert.deepEqual(found.question, { labels: ['db', 'app'], type: 28, class: 1 });
  assert.deepEqual([found.id, found.opcode, found.recursionDesired], [4711, 0, true]);
  assert.deepEqual(found.edns, { version: 0, size: 1400, dnssecOk: false });
  assert.match(Buffer.from(found.asked).toString('latin1'), /dB.ApP/);
});

test('room: 512 without EDNS, what the client says with it, within bounds', () => {
  assert.deepEqual(
    [undefined, 100, 700, 4096].map((size) => roomOf(read(size === undefined ? {} : { size }))),
    [payload.least, 512, 700, payload.most],
  );
});

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9-]{0,20}[a-z0-9])?$/);
const name: fc.Arbitrary<Name> = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
const short = fc.integer({ min: 0, max: 0xffff });
const long = fc.integer({ min: 0, max: 0xffff_ffff });
const address = (family: 4 | 6): fc.Arbitrary<Ip> =>
  fc.bigInt({ min: 0n, max: (1n << (family === 4 ? 32n : 128n)) - 1n }).map((value) => fromNumber(value, family));
const record: fc.Arbitrary<Rr> = fc.oneof(
  fc.record({ name, ttl: long, type: fc.constant('A' as const), address: address(4) }),
  fc.record({ name, ttl: long, type: fc.constant('AAAA' as const), address: address(6) }),
  fc.record({ name, ttl: long, type: fc.constantFrom('PTR' as const, 'NS' as const), target: name }),
  fc.record({
    name,
    ttl: long,
    type: fc.constant('SRV' as const),
    priority: short,
    weight: short,
    port: short,
    target: name,
  }),
  fc.record({ name, ttl: long, type: fc.constant('HINFO' as const), cpu: label, os: label }),
  fc.record({
    ...{ name, ttl: long, type: fc.constant('SOA' as const), mname: name, rname: name },
    ...{ serial: long, refresh: long, retry: long, expire: long, minimum: long },
  }),
);

/** As dns-packet has it, and nothing it adds. */
function plain(answer: packet.Answer): unknown {
  const { name, ttl, type, data } = answer as { name: string; ttl: number; type: string; data: unknown };
  return { name, ttl, type, data };
}

function expected({ name, ttl, type, ...data }: Rr): unknown {
  if ('address' in data) return { name, ttl, type, data: expand(data.address) };
  return { name, ttl, type, data: 'target' in data && type !== 'SRV' ? data.target : data };
}

/** dns-packet writes IPv6 its own way: both are compared as it would. */
const expand = (text: string): string =>
  packet
    .decode(
      packet.encode({
        type: 'response',
        answers: [{ name: 'x', type: text.includes(':') ? 'AAAA' : 'A', data: text }],
      }),
    )
    .answers?.map((each) => (each as packet.StringAnswer).data)[0] ?? '';

test(`whatever is written is read as it was meant, compressed, WARREN_SEED=${seed}`, () => {
  const list = fc.array(record, { maxLength: 12 });
  fc.assert(
    fc.property(name, list, list, list, fc.boolean(), (asked, answers, authorities, additionals, edns) => {
      const found = read({ name: asked, ...(edns ? { size: 4096 } : {}) });
      const reply = {
        rcode: rcodes.NXDOMAIN,
        authoritative: true,
        recursionAvailable: false,
        answers,
        authorities,
        additionals,
      };
      const message = encode(found, reply, 65_535);
      const told = packet.decode(message);
      assert.equal(told.questions?.[0]?.name, asked);
      assert.deepEqual(told.answers?.map(plain), answers.map(expected));
      assert.deepEqual(told.authorities?.map(plain), authorities.map(expected));
      const [opt] = edns ? (told.additionals?.slice(-1) ?? []) : [];
      assert.equal(opt?.type, edns ? 'OPT' : undefined);
      assert.deepEqual(told.additionals?.filter((each) => each !== opt).map(plain), additionals.map(expected));
      assert.deepEqual([told.id, (told as { rcode?: string }).rcode, told.flag_tc], [4711, 'NXDOMAIN', false]);
      const uncompressed = packet.encode({ ...told, type: 'response' });
      assert.ok(message.length <= uncompressed.length, `${message.length} > ${uncompressed.length}`);
    }),
    runs,
  );
});

test(`what does not fit is left out whole, and said to be missing, WARREN_SEED=${seed}`, () => {
  fc.assert(
    fc.property(
      fc.array(record, { maxLength: 60 }),
      fc.integer({ min: 512, max: 1232 }),
      fc.boolean(),
      (answers, limit, edns) => {
        const found = read(edns ? { size: limit } : {});
        const reply = { rcode: rcodes.NOERROR, authoritative: true, recursionAvailable: true, answers };
        const message = encode(found, reply, limit);
        const whole = encode(found, reply, 65_535);
        assert.ok(message.length <= limit);
        const told = packet.decode(message);
        assert.equal(told.flag_tc, whole.length > limit);
        assert.equal(told.answers?.length === answers.length, whole.length <= limit);
        assert.equal(told.additionals?.length, edns ? 1 : 0);
      },
    ),
    runs,
  );
});

test('what is only added goes without a word', () => {
  const a = { name: 'db', ttl: 2, type: 'A', address: '10.9.0.2' as Ip } as const;
  const reply = { rcode: rcodes.NOERROR, authoritative: true, recursionAvailable: true, answers: [a] };
  const told = packet.decode(encode(read({}), { ...reply, additionals: Array.from({ length: 100 }, () => a) }, 512));
  assert.deepEqual([told.flag_tc, told.answers?.length, (told.additionals?.length ?? 0) < 100], [false, 1, true]);
});

test('20 addresses of one name: 369 bytes, not 989', () => {
  const answers = Array.from({ length: 20 }, (_, n) => {
    return { name: 'tasks.web.application.warren', ttl: 2, type: 'A', address: `10.9.0.${n + 2}` as Ip } as const;
  });
  const reply = { rcode: rcodes.NOERROR, authoritative: true, recursionAvailable: true, answers };
  const message = encode(read({ name: 'tasks.web.application.warren' }), reply, 512);
  assert.equal(message.length, 12 + 34 + 20 * 16);
});

test(`no octets make reading throw, WARREN_SEED=${seed}`, () => {
  const message = query({ name: 'tasks.web.app.warren', size: 1232 });
  const spoilt = fc.tuple(
    fc.array(fc.tuple(fc.nat(message.length - 1), fc.nat(255)), { maxLength: 6 }),
    fc.nat(message.length),
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes)),
        spoilt.map(([changes, length]) => {
          const copy = Buffer.from(message);
          for (const [at, value] of changes) copy[at] = value;
          return copy.subarray(0, length);
        }),
      ),
      (bytes) => {
        const found = readQuery(bytes);
        if (bytes.length < 12) assert.equal(found, undefined);
        if (!found || 'broken' in found) return;
        // Whatever was read can be answered.
        const reply = { rcode: rcodes.REFUSED, authoritative: false, recursionAvailable: true };
        assert.ok(encode(found, reply, 512).length <= 512);
      },
    ),
    { ...runs, numRuns: runs.numRuns * 10 },
  );
});

test('names that are not right are no names', () => {
  const broken = (hex: string) =>
    readQuery(Buffer.concat([query().subarray(0, 12), Buffer.from(hex.replaceAll(' ', ''), 'hex')]));
  for (const [what, hex] of [
    ['cut in a label', '05 6162'],
    ['without an end', '02 6162'],
    ['a pointer to itself', 'c00c 0001 0001'],
    ['a length of more than 63', '40 00 0001 0001'],
    ['more than 255 octets', `${`3f${'61'.repeat(63)}`.repeat(4)}00 0001 0001`],
    ['no class', '02 6162 00 0001'],
  ] as const)
    assert.ok('broken' in (broken(hex) ?? {}), what);
});

test(`frames are cut right, however they arrive, WARREN_SEED=${seed}`, () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 })),
      fc.array(fc.integer({ min: 1, max: 30 })),
      (messages, cuts) => {
        const stream = Buffer.concat(messages.map(framed));
        const frames = new Frames();
        const found: Buffer[] = [];
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          found.push(...frames.push(stream.subarray(at, at + cut)));
          at += cut;
        }
        assert.deepEqual(
          found.map((each) => [...each]),
          messages.map((each) => [...each]),
        );
      },
    ),
    runs,
  );
});
