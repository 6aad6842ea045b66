import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { answer } from '../../src/dns/answer.ts';
import type { Rr } from '../../src/dns/record.ts';
import { types } from '../../src/dns/record.ts';
import { Zone } from '../../src/dns/zone.ts';
import type { Ip } from '../../src/model/ip.ts';
import { app, backendOf, endpoint, network, networkView, nodes, service } from './fixture.ts';

const web = service('web', ['10.200.0.5', 'fd0a::5']);
const idle = service('idle', ['10.200.0.6']);
const endpoints = [
  endpoint('db', ['10.9.0.2', 'fd09::2']),
  endpoint('four', ['10.9.0.3']),
  endpoint('starting', ['10.9.0.4'], { state: 'starting' }),
  endpoint('draining', ['10.9.0.5'], { state: 'draining', ...backendOf(web) }),
  endpoint('lost', ['10.9.0.6'], { node: nodes.there }),
  endpoint('w1', ['10.9.0.11', 'fd09::11'], backendOf(web, true, 3)),
  endpoint('w2', ['10.9.0.12', 'fd09::12'], backendOf(web)),
  endpoint('sick', ['10.9.0.13'], backendOf(web, false)),
  endpoint('rests', ['10.9.0.15'], { node: nodes.drained, ...backendOf(web) }),
  endpoint('away', ['10.9.0.14'], { node: nodes.there, ...backendOf(web) }),
];
const zone = new Zone(networkView(endpoints, [web, idle]));
const internal = new Zone(networkView(endpoints, [web], network('app', { internal: true })));
const around = {
  down: new Set([nodes.there]),
  resting: new Set([nodes.there, nodes.drained]),
  isNetwork: (name: string) => name === 'app' || name === 'other',
};
const ask = (name: string, type: keyof typeof types = 'A', turn = 0, where = zone) =>
  answer(where, around, { labels: name === '' ? [] : name.split('.'), type: types[type], class: 1 }, turn);

function words(records: readonly Rr[]): string[] {
  return records.map((record) => {
    if ('address' in record) return record.address;
    if (record.type === 'SRV') return `${record.priority} ${record.weight} ${record.port} ${record.target}`;
    return 'target' in record ? record.target : record.type;
  });
}

/** In one line, as the table below has it. */
function told(name: string, type: keyof typeof types = 'A'): string {
  const found = ask(name, type);
  if (found.kind === 'records') {
    for (const record of found.records) assert.equal(record.name, name, 'of the name that was asked');
    return [...words(found.records)].join(', ');
  }
  return 'zone' in found ? `${found.kind} ${found.zone || '.'}` : found.kind;
}

describe('names', () => {
  const table: readonly (readonly [question: string, type: keyof typeof types, answer: string])[] = [
    ['db', 'A', '10.9.0.2'],
    ['db', 'AAAA', 'fd09::2'],
    ['db.app', 'A', '10.9.0.2'],
    ['db.app.warren', 'AAAA', 'fd09::2'],
    ['four', 'AAAA', 'nodata .'],
    ['four.app', 'AAAA', 'nodata app'],
    ['four.app.warren', 'AAAA', 'nodata app.warren'],
    ['db', 'PTR', 'nodata .'],
    ['nobody', 'A', 'nxdomain .'],
    ['nobody.app', 'A', 'nxdomain app'],
    ['nobody.app.warren', 'A', 'nxdomain app.warren'],
    ['nobody.warren', 'A', 'nxdomain warren'],
    // Only who can be reached.
    ['starting', 'A', 'nxdomain .'],
    // A backend that drains is still an endpoint.
    ['draining.app', 'A', '10.9.0.5'],
    ['lost.app.warren', 'A', 'nxdomain app.warren'],
    // A host that was drained has endpoints, but nothing new for its backends.
    ['rests', 'A', '10.9.0.15'],
    // Another network's, which cannot be.
    ['db.other', 'A', 'nxdomain other'],
    ['db.other.warren', 'A', 'nxdomain warren'],
    ['tasks.web.other', 'A', 'nxdomain other'],
    // Services.
    ['web', 'A', '10.200.0.5'],
    ['web.app.warren', 'AAAA', 'fd0a::5'],
    ['idle', 'AAAA', 'nodata .'],
    ['tasks.web', 'A', '10.9.0.11, 10.9.0.12'],
    ['tasks.web.app', 'AAAA', 'fd09::11, fd09::12'],
    ['tasks.idle', 'A', 'nodata .'],
    ['tasks.db', 'A', 'nxdomain .'],
    ['tasks.nobody.app', 'A', 'nxdomain app'],
    ['tasks.app.warren', 'A', 'nodata app.warren'],
    ['_80._tcp.web', 'SRV', '0 0 80 web.app.warren'],
    ['_53._udp.web.app', 'SRV', '0 0 53 web.app.warren'],
    ['_80._tcp.tasks.web.app.warren', 'SRV', '0 3 8080 w1.app.warren, 0 1 8080 w2.app.warren'],
    ['_80._udp.web', 'SRV', 'nxdomain .'],
    ['_8080._tcp.web', 'SRV', 'nxdomain .'],
    ['_80._tcp.db', 'SRV', 'nxdomain .'],
    ['_80._tcp.web', 'A', 'nodata .'],
    ['_tcp.web', 'SRV', 'nodata .'],
    ['_tcp.idle.app.warren', 'SRV', 'nodata app.warren'],
    ['x._80._tcp.web.app.warren', 'SRV', 'nxdomain app.warren'],
    ['a.db.app.warren', 'A', 'nxdomain app.warren'],
    // What is above them.
    ['app.warren', 'A', 'nodata app.warren'],
    ['app.warren', 'SOA', 'SOA'],
    ['warren', 'A', 'nodata warren'],
    ['warren', 'SOA', 'SOA'],
    ['db.app.warren', 'ANY', 'HINFO'],
    ['nobody', 'ANY', 'forward'],
    // Somebody else's.
    ['example.com', 'A', 'forward'],
    ['www.example.app', 'A', 'forward'],
    ['tasks.org', 'A', 'forward'],
    ['_443._tcp.example.com', 'SRV', 'forward'],
    ['com', 'NS', 'forward'],
    ['', 'NS', 'forward'],
  ];
  for (const [question, type, expected] of table)
    test(`${question || '.'} ${type}: ${expected}`, () => assert.equal(told(question, type), expected));

  test('in an internal network nothing else is asked for', () => {
    assert.equal(ask('example.com', 'A', 0, internal).kind, 'refused');
    assert.equal(ask('4.3.2.1.in-addr.arpa', 'PTR', 0, internal).kind, 'refused');
    assert.equal(ask('db', 'A', 0, internal).kind, 'records');
  });

  test('addresses come along with what speaks of hosts by name', () => {
    const found = ask('_80._tcp.tasks.web', 'SRV');
    assert.ok(found.kind === 'records');
    assert.deepEqual(
      found.additionals?.map((record) => `${record.name} ${words([record])}`),
      ['w1.app.warren 10.9.0.11', 'w1.app.warren fd09::11', 'w2.app.warren 10.9.0.12', 'w2.app.warren fd09::12'],
    );
  });

  test('every answer has its turn in front, and each is there once', () => {
    const firsts = new Set<string>();
    for (let turn = 0; turn < 4; turn++) {
      const found = ask('tasks.web', 'A', turn);
      assert.ok(found.kind === 'records');
      assert.deepEqual(words(found.records).toSorted(), ['10.9.0.11', '10.9.0.12']);
      firsts.add(words(found.records)[0] ?? '');
    }
    assert.equal(firsts.size, 2);
  });

  test('a label with a dot in it is no two labels', () => {
    const labels = ['db.app', 'warren'];
    assert.equal(answer(zone, around, { labels, type: types.A, class: 1 }, 0).kind, 'nxdomain');
  });
});

describe('addresses', () => {
  const six = (last: string) => `${last}.${'0.'.repeat(27)}9.0.d.f.ip6.arpa`;
  const table: readonly (readonly [question: string, answer: string])[] = [
    ['2.0.9.10.in-addr.arpa', 'db.app.warren'],
    [six('2'), 'db.app.warren'],
    [six('7'), 'nxdomain 0.0.0.0.0.0.0.0.0.0.0.0.9.0.d.f.ip6.arpa'],
    ['9.0.9.10.in-addr.arpa', 'nxdomain 9.10.in-addr.arpa'],
    ['6.0.9.10.in-addr.arpa', 'nxdomain 9.10.in-addr.arpa'],
    ['9.1.200.10.in-addr.arpa', 'nxdomain 1.200.10.in-addr.arpa'],
    ['9.16.200.10.in-addr.arpa', 'forward'],
    // Above addresses of ours there is no name, but there is something below.
    ['0.9.10.in-addr.arpa', 'nodata 9.10.in-addr.arpa'],
    ['10.in-addr.arpa', 'forward'],
    ['1.1.1.1.in-addr.arpa', 'forward'],
    // Of no form there is.
    ['002.0.9.10.in-addr.arpa', 'forward'],
    ['1.2.0.9.10.in-addr.arpa', 'forward'],
    ['x.ip6.arpa', 'forward'],
  ];
  for (const [question, expected] of table)
    test(`${question}: ${expected}`, () => assert.equal(told(question, 'PTR'), expected));
});

test('a zone that followed its changes is as one that was made of what is there now', () => {
  const followed = new Zone(networkView([], []));
  const renamed = { ...web, name: 'site', vips: ['10.200.0.9' as Ip] };
  followed.service(undefined, web);
  for (const each of endpoints) followed.endpoint(undefined, each);
  followed.service(web, renamed);
  const [db, ...rest] = endpoints;
  assert.ok(db);
  followed.endpoint(db, undefined);
  // Its name and address are another's already when it is told that it has gone.
  const heir = endpoint('db', ['10.9.0.2'], { id: 'heiraaaaaaaaaaaa' as typeof db.id });
  followed.endpoint(undefined, heir);
  followed.endpoint(db, undefined);
  const made = new Zone(networkView([heir, ...rest], [renamed]));
  const questions = ['db', 'w1', 'web', 'site', 'tasks.site', 'tasks.web', '_80._tcp.tasks.site', 'lost'];
  for (const question of questions) {
    for (const type of ['A', 'AAAA', 'SRV'] as const)
      assert.deepEqual(ask(question, type, 0, followed), ask(question, type, 0, made), `${question} ${type}`);
  }
  for (const question of ['2.0.9.10.in-addr.arpa', '5.0.200.10.in-addr.arpa', '9.0.200.10.in-addr.arpa'])
    assert.deepEqual(ask(question, 'PTR', 0, followed), ask(question, 'PTR', 0, made), question);
  assert.equal(ask('db', 'A', 0, followed).kind, 'records');
});

test('a service with nobody left, made again under its name, has only its own', () => {
  const followed = new Zone(networkView([endpoint('w1', ['10.9.0.11'], backendOf(web))], [web]));
  followed.service(web, undefined);
  const next = { ...web, id: 'svcnextaaaaaaaaa' as typeof web.id };
  followed.service(undefined, next);
  assert.equal(ask('tasks.web', 'A', 0, followed).kind, 'nodata');
  assert.equal(app.id, next.network);
});
