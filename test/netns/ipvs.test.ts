import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { inspect } from 'node:util';
import type { Kernel } from '../../src/kernel/kernel.ts';
import type { Op } from '../../src/kernel/op.ts';
import type { IpvsDest, IpvsKey, IpvsService, IpvsTimeouts, Netns } from '../../src/kernel/state.ts';
import { connect, end, eventually, inside, kernelTest, nameOf, refuses } from '../support/netns.ts';
import { four, six, wire } from '../support/xfrm.ts';

const web: IpvsKey = { proto: 'tcp', address: '10.64.0.7', port: 80 };

/** Of a namespace in which nothing has an address yet, the kernel takes no address for one that packets can be sent to. */
const awake: Op = { op: 'link.set', link: { name: 'lo', up: true } };

/** Without what the kernel alone knows. */
function wished<Item extends { readonly counters?: unknown }>({ counters: _, ...item }: Item): Omit<Item, 'counters'> {
  return item;
}

async function read(kernel: Kernel, ns: Netns) {
  const { ipvs, ipvsDests } = await kernel.read(ns, { ipvs: true });
  const sorted = <Item>(items: Item[]) => items.sort((a, b) => (inspect(a) < inspect(b) ? -1 : 1));
  return { services: sorted(ipvs.map(wished)), dests: sorted(ipvsDests.map(wished)) };
}

/** What `ipvsadm -Sn` says, line by line. */
const saved = (ns: Netns): string[] => inside(ns, 'ipvsadm', '-S', '-n').trim().split('\n').sort();

/** Every setting, as reading gives them. */
function whole(service: IpvsService): IpvsService {
  const netmask = ('fwmark' in service ? service.family === 6 : service.address.includes(':')) ? 128 : 32;
  return { schedFlags: [], persistent: 0, netmask, ops: false, ...service };
}

kernelTest('services: every field reads back, ipvsadm says the same, deleted, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  const services: [IpvsService, string][] = [
    [{ ...web, scheduler: 'rr' }, '-A -t 10.64.0.7:80 -s rr'],
    [{ proto: 'udp', address: '10.64.0.7', port: 53, scheduler: 'wrr', ops: true }, '-A -u 10.64.0.7:53 -s wrr -o'],
    [{ proto: 'tcp', address: 'fd00:64::7', port: 80, scheduler: 'lc' }, '-A -t [fd00:64::7]:80 -s lc'],
    [{ proto: 'udp', address: 'fd00:64::7', port: 80, scheduler: 'wlc' }, '-A -u [fd00:64::7]:80 -s wlc'],
    [{ fwmark: 5, family: 4, scheduler: 'sed' }, '-A -f 5 -s sed'],
    [{ fwmark: 0x80000005, family: 6, scheduler: 'nq' }, '-A -f -2147483643 -6 -s nq'],
    [{ fwmark: 5, family: 6, scheduler: 'sh', schedFlags: ['sh-port'] }, '-A -f 5 -6 -s sh -b sh-port'],
    [
      { ...web, port: 81, scheduler: 'mh', schedFlags: ['mh-fallback', 'mh-port'] },
      '-A -t 10.64.0.7:81 -s mh -b mh-fallback,mh-port',
    ],
    [{ ...web, port: 82, scheduler: 'rr', schedFlags: ['flag-3'] }, '-A -t 10.64.0.7:82 -s rr -b flag-3'],
    [{ ...web, port: 83, scheduler: 'rr', persistent: 300 }, '-A -t 10.64.0.7:83 -s rr -p 300'],
    [
      { ...web, port: 0, scheduler: 'rr', persistent: 2678400, netmask: 20 },
      '-A -t 10.64.0.7:0 -s rr -p 2678400 -M 255.255.240.0',
    ],
    [
      { proto: 'tcp', address: 'fd00:64::7', port: 82, scheduler: 'rr', persistent: 1, netmask: 64 },
      '-A -t [fd00:64::7]:82 -s rr -p 1 -M 64',
    ],
  ];
  const set: Op[] = services.map(([service]) => ({ op: 'ipvs.set', service }));
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(ns, set);
    const have = (await read(kernel, ns)).services;
    assert.deepEqual(new Set(have), new Set(services.map(([service]) => whole(service))));
    assert.equal(have.length, services.length);
    assert.deepEqual(saved(ns), services.map(([, line]) => line).sort());
  }
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      services.map(([service]) => ({ op: 'ipvs.del', service })),
    );
    assert.deepEqual(await read(kernel, ns), { services: [], dests: [] });
    assert.deepEqual(saved(ns), ['']);
  }
});

kernelTest('destinations: every field reads back, ipvsadm says the same, deleted, gone', async ({ kernel, netns }) => {
  const ns = await netns();
  const mail: IpvsKey = { proto: 'tcp', address: 'fd00:64::7', port: 25 };
  const mark: IpvsKey = { fwmark: 9, family: 4 };
  const mark6: IpvsKey = { fwmark: 9, family: 6 };
  const dests: [IpvsDest, string][] = [
    [
      { service: web, address: '10.9.0.11', port: 80, method: 'route', weight: 1 },
      '-a -t 10.64.0.7:80 -r 10.9.0.11:80 -g -w 1',
    ],
    [
      { service: web, address: '10.9.0.11', port: 8080, method: 'masq', weight: 0 },
      '-a -t 10.64.0.7:80 -r 10.9.0.11:8080 -m -w 0',
    ],
    [
      { service: web, address: '10.9.0.12', port: 80, method: 'tunnel', weight: 65535, upper: 100, lower: 80 },
      '-a -t 10.64.0.7:80 -r 10.9.0.12:80 -i -w 65535 --tun-type ipip',
    ],
    [
      { service: web, address: 'fd00:9::12', port: 80, method: 'tunnel', weight: 7 },
      '-a -t 10.64.0.7:80 -r [fd00:9::12]:80 -i -w 7 --tun-type ipip',
    ],
    [
      { service: mail, address: 'fd00:9::11', port: 25, method: 'route', weight: 3, upper: 10 },
      '-a -t [fd00:64::7]:25 -r [fd00:9::11]:25 -g -w 3',
    ],
    [{ service: mark, address: '10.9.0.11', port: 0, method: 'route', weight: 1 }, '-a -f 9 -r 10.9.0.11:0 -g -w 1'],
    [
      { service: mark6, address: 'fd00:9::11', port: 8080, method: 'masq', weight: 1 },
      '-a -f 9 -6 -r [fd00:9::11]:8080 -m -w 1',
    ],
  ];
  const services: Op[] = [web, mail, mark, mark6].map((key) => ({
    op: 'ipvs.set',
    service: { ...key, scheduler: 'wrr' },
  }));
  await kernel.apply(ns, [awake, ...services, ...dests.map(([dest]): Op => ({ op: 'ipvs.dest.set', dest }))]);
  const expected = dests.map(([dest]) => ({ upper: 0, lower: 0, ...dest }));
  assert.deepEqual(new Set((await read(kernel, ns)).dests), new Set(expected));
  const lines = saved(ns).filter((line) => line.startsWith('-a'));
  assert.deepEqual(lines, dests.map(([, line]) => line).sort());

  const limits = inside(ns, 'ipvsadm', '-Ln', '--thresholds');
  assert.match(limits, /10\.9\.0\.12:80 +100 +80 /);
  assert.match(limits, /\[fd00:9::11\]:25 +10 +0 /);

  const [first] = expected as [IpvsDest];
  for (const change of [{ weight: 0 }, { weight: 9, method: 'masq', upper: 5, lower: 1 }, {}] as const) {
    const dest: IpvsDest = { ...first, ...change };
    await kernel.apply(ns, [{ op: 'ipvs.dest.set', dest }]);
    const have = (await read(kernel, ns)).dests;
    assert.equal(have.length, dests.length);
    assert.deepEqual(
      have.find(({ address, port }) => address === '10.9.0.11' && port === 80),
      dest,
    );
  }
  for (let twice = 0; twice < 2; twice++) {
    await kernel.apply(
      ns,
      dests.slice(1).map(([dest]) => ({ op: 'ipvs.dest.del', dest })),
    );
    assert.deepEqual((await read(kernel, ns)).dests, [first]);
  }
  // A service takes its destinations along; those of none are gone already.
  await kernel.apply(ns, [
    { op: 'ipvs.del', service: web },
    { op: 'ipvs.dest.del', dest: first },
  ]);
  assert.deepEqual((await read(kernel, ns)).dests, []);
});

kernelTest('a service is changed in place, and keeps its destinations', async ({ kernel, netns }) => {
  const ns = await netns();
  const dest: IpvsDest = {
    service: web,
    address: '10.9.0.11',
    port: 80,
    method: 'route',
    weight: 3,
    upper: 0,
    lower: 0,
  };
  await kernel.apply(ns, [
    awake,
    { op: 'ipvs.set', service: { ...web, scheduler: 'rr', persistent: 300, netmask: 24 } },
    { op: 'ipvs.dest.set', dest },
  ]);
  const changes: IpvsService[] = [
    ...['rr', 'wrr', 'lc', 'wlc', 'sh', 'mh', 'sed', 'nq'].map((scheduler) => ({ ...web, scheduler })),
    { ...web, scheduler: 'mh', schedFlags: ['mh-port'], persistent: 60 },
    { ...web, scheduler: 'mh', ops: true },
  ];
  for (const service of changes) {
    await kernel.apply(ns, [{ op: 'ipvs.set', service }]);
    assert.deepEqual(await read(kernel, ns), { services: [whole(service)], dests: [dest] });
  }
});

kernelTest('timeouts: one for all of a namespace, ipvsadm says the same', async ({ kernel, netns }) => {
  const [ns, other] = [await netns(), await netns()];
  const usual = await kernel.read(other, { ipvs: true });
  assert.deepEqual(usual.ipvsTimeouts, [{ tcp: 900, tcpFin: 120, udp: 300 }]);
  for (const timeouts of [
    { tcp: 7440, tcpFin: 121, udp: 301 },
    { tcp: 1, tcpFin: 1, udp: 2678400 },
  ]) {
    await kernel.apply(ns, [{ op: 'ipvs.timeouts.set', timeouts }]);
    assert.deepEqual((await kernel.read(ns, { ipvs: true })).ipvsTimeouts, [timeouts]);
    const { tcp, tcpFin, udp } = timeouts;
    assert.ok(inside(ns, 'ipvsadm', '-L', '--timeout').includes(`${tcp} ${tcpFin} ${udp}`));
  }
  for (const wrong of [{ tcp: 0 }, { tcpFin: 2678401 }, { udp: undefined }]) {
    const timeouts = { tcp: 1, tcpFin: 1, udp: 1, ...wrong } as IpvsTimeouts;
    await assert.rejects(kernel.apply(ns, [{ op: 'ipvs.timeouts.set', timeouts }]), TypeError);
  }
  assert.deepEqual((await kernel.read(other, { ipvs: true })).ipvsTimeouts, usual.ipvsTimeouts);
});

kernelTest('what the kernel will not have, with which op it was', async ({ kernel, netns }) => {
  const ns = await netns();
  const dest: IpvsDest = { service: web, address: '10.9.0.11', port: 80, method: 'route', weight: 1 };
  const name = nameOf(ns);
  await refuses(kernel.apply(ns, [{ op: 'ipvs.set', service: { ...web, scheduler: 'best' } }]), {
    code: 'ENOENT',
    message: `ipvs.set tcp 10.64.0.7:80 scheduler best in netns ${name}: ENOENT: the kernel has no scheduler best`,
  });
  await refuses(kernel.apply(ns, [{ op: 'ipvs.dest.set', dest }]), {
    code: 'ESRCH',
    message: `ipvs.dest.set tcp 10.64.0.7:80 destination 10.9.0.11:80 in netns ${name}: ESRCH: there is no such service`,
  });
  // What comes before the one that fails is done, new or not.
  const services = [80, 81, 82, 83].map((port): IpvsService => ({ ...web, port, scheduler: 'rr' }));
  await kernel.apply(ns, [{ op: 'ipvs.set', service: services[1] as IpvsService }]);
  const ops = services.map((service): Op => ({ op: 'ipvs.set', service: { ...service, scheduler: 'wrr' } }));
  ops[2] = { op: 'ipvs.set', service: { ...web, port: 82, scheduler: 'best' } };
  await refuses(kernel.apply(ns, ops), { code: 'ENOENT', index: 2 });
  const have = new Map((await kernel.read(ns, { ipvs: true })).ipvs.map((s) => ['port' in s && s.port, s.scheduler]));
  assert.deepEqual([have.get(80), have.get(81), have.get(82)], ['wrr', 'wrr', undefined]);
  await refuses(kernel.apply(ns, [{ op: 'ipvs.dest.set', dest }]), {
    code: 'EINVAL',
    extack: 'not a unicast address, or the namespace has no address itself yet',
  });
  await kernel.apply(ns, [awake]);
  const dests = ['10.9.0.11', '224.0.0.1'].map((address): Op => ({ op: 'ipvs.dest.set', dest: { ...dest, address } }));
  await refuses(kernel.apply(ns, dests), { code: 'EINVAL', index: 1, op: 'ipvs.dest.set' });
  assert.equal((await read(kernel, ns)).dests.length, 1);
});

kernelTest('a wrong service or destination is a TypeError before anything has happened', async ({ kernel, netns }) => {
  const ns = await netns();
  const good: IpvsService = { ...web, scheduler: 'rr' };
  const wrongServices: [object, RegExp][] = [
    [{ ...good, proto: 'other' }, /proto must be tcp or udp/],
    [{ ...good, address: 'web' }, /address must be an IP address/],
    [{ ...good, port: 65536 }, /port must be an integer/],
    [{ ...good, port: 0 }, /port must be 1 or more/],
    [{ ...good, scheduler: '' }, /scheduler must be 1 to 15/],
    [{ ...good, scheduler: 'x'.repeat(16) }, /scheduler must be 1 to 15/],
    [{ ...good, schedFlags: ['mh-port'] }, /schedFlags must be words/],
    [{ ...good, schedFlags: 'flag-1' }, /schedFlags must be an array/],
    [{ ...good, persistent: 2678401 }, /persistent must be at most/],
    [{ ...good, netmask: 33 }, /netmask must be a prefix length/],
    [{ ...good, ops: 1 }, /ops must be a boolean/],
    [{ ...good, partial: true }, /partial must be absent/],
    [{ fwmark: 0, family: 4, scheduler: 'rr' }, /fwmark must be 1 or more/],
    [{ fwmark: 1, scheduler: 'rr' }, /family/],
  ];
  for (const [service, message] of wrongServices) {
    await assert.rejects(
      kernel.apply(ns, [
        { op: 'ipvs.set', service: good },
        { op: 'ipvs.set', service: service as IpvsService },
      ]),
      (error) => error instanceof TypeError && message.test(error.message),
      String(message),
    );
  }
  const dest: IpvsDest = { service: web, address: '10.9.0.11', port: 80, method: 'route', weight: 1 };
  const wrongDests: [object, RegExp][] = [
    [{ ...dest, service: undefined }, /service must be an object/],
    [{ ...dest, method: 'other' }, /method must be route or masq or tunnel/],
    [{ ...dest, address: 'fd00:9::1' }, /address must be of the service's family/],
    [{ ...dest, weight: -1 }, /weight must be an integer/],
    [{ ...dest, weight: 2 ** 31 }, /weight must be at most/],
    [{ ...dest, lower: 1 }, /lower must be at most upper/],
    [{ ...dest, partial: true }, /partial must be absent/],
  ];
  for (const [wrong, message] of wrongDests) {
    await assert.rejects(
      kernel.apply(ns, [
        { op: 'ipvs.set', service: good },
        { op: 'ipvs.dest.set', dest: wrong as IpvsDest },
      ]),
      (error) => error instanceof TypeError && message.test(error.message),
      String(message),
    );
  }
  assert.deepEqual(await read(kernel, ns), { services: [], dests: [] });
});

kernelTest('what others made is read, and in its own namespace only', async ({ kernel, netns }) => {
  const [ns, other] = [await netns(), await netns()];
  await kernel.apply(ns, [awake]);
  const lines = `-A -t 10.64.0.8:21 -s wlc -p 360 -M 255.255.0.0
-a -t 10.64.0.8:21 -r 10.9.0.11 -i -w 5 -x 7 -y 3
-a -t 10.64.0.8:21 -r 10.9.0.12 -i --tun-type gue --tun-port 6080
-A -u 10.64.0.8:5060 -s rr -p 60 -M 255.0.255.0
-A -u 10.64.0.8:53 -s rr -o`;
  inside(ns, 'bash', '-c', `ipvsadm -R <<< '${lines}'`);
  const ftp: IpvsKey = { proto: 'tcp', address: '10.64.0.8', port: 21 };
  const { services, dests } = await read(kernel, ns);
  const byPort = new Map(services.map((service) => ['port' in service && service.port, service]));
  assert.deepEqual(byPort.get(21), whole({ ...ftp, scheduler: 'wlc', persistent: 360, netmask: 16 }));
  assert.deepEqual(byPort.get(53), whole({ ...ftp, proto: 'udp', port: 53, scheduler: 'rr', ops: true }));
  assert.deepEqual(byPort.get(5060)?.partial, true);
  const dest: IpvsDest = {
    service: ftp,
    address: '10.9.0.11',
    port: 21,
    method: 'tunnel',
    weight: 5,
    upper: 7,
    lower: 3,
  };
  assert.deepEqual(
    dests.find(({ address }) => address === '10.9.0.11'),
    dest,
  );
  assert.equal(dests.find(({ address }) => address === '10.9.0.12')?.partial, true);
  assert.deepEqual(await read(kernel, other), { services: [], dests: [] });
});

/**
 *   client 10.9.0.1 ───── director 10.9.0.2: VIP 10.64.0.7:80, whose destinations are its own addresses
 */
for (const [family, [client, server], vip] of [
  [4, four, '10.64.0.7'],
  [6, six, 'fd00:64::7'],
] as const) {
  kernelTest(`IPv${family}: a connection is counted, and goes with its destination`, async (bench) => {
    const { kernel, defer } = bench;
    const [a, b] = await wire(kernel, bench.netns);
    const length = family === 4 ? 32 : 128;
    const service: IpvsKey = { proto: 'tcp', address: vip, port: 80 };
    const dest: IpvsDest = { service, address: server, port: 80, method: 'route', weight: 1 };
    await kernel.apply(b, [
      awake,
      { op: 'sysctl.set', sysctl: { key: 'net/ipv4/vs/expire_nodest_conn', value: '1' } },
      { op: 'route.set', route: { dst: `${vip}/${length}`, type: 'local', dev: 'lo', protocol: 119 } },
      { op: 'ipvs.set', service: { ...service, scheduler: 'rr' } },
      { op: 'ipvs.dest.set', dest },
    ]);
    await kernel.apply(a, [{ op: 'route.set', route: { dst: `${vip}/${length}`, via: server, dev: 'e0' } }]);

    const accepted: Socket[] = [];
    const listener = createServer((socket) => {
      socket.on('error', () => {});
      accepted.push(socket);
      socket.write('hello\n');
    });
    const fd = await kernel.socket(b, 'tcp', family === 4 ? '0.0.0.0' : '::', 80);
    listener.listen({ fd });
    defer(async () => {
      for (const socket of accepted) socket.destroy();
      listener.close();
      await once(listener, 'close');
    });
    await once(listener, 'listening');
    const connection = connect(a, vip, 80);
    defer(() => end(connection));
    await once(connection.stdout, 'data');
    assert.equal(accepted[0]?.remoteAddress, client);

    const counters = async () => {
      const { ipvs, ipvsDests } = await kernel.read(b, { ipvs: true });
      return { service: ipvs[0]?.counters, dest: ipvsDests[0]?.counters };
    };
    assert.equal((await counters()).dest?.activeConnections, 1);
    // What has gone through is summed up every two seconds.
    await eventually(async () => {
      const seen = await counters();
      const { inBytes, inPackets, outBytes, outPackets, ...rest } = seen.dest ?? assert.fail('no counters');
      const least = 2 * (family === 4 ? 40 : 60);
      assert.ok(inPackets >= 2 && inBytes >= least && outPackets >= 2 && outBytes >= least, inspect(seen));
      const none = { inactiveConnections: 0, persistentConnections: 0 };
      assert.deepEqual(rest, { ...none, connections: 1, activeConnections: 1 });
      assert.deepEqual(seen.service?.connections, 1);
    }, 10_000);
    assert.match(inside(b, 'ipvsadm', '-Ln'), /Route +1 +1 +0/);

    // Neither a change of weight nor one of the service does anything to it.
    await kernel.apply(b, [
      { op: 'ipvs.dest.set', dest: { ...dest, weight: 0 } },
      { op: 'ipvs.set', service: { ...service, scheduler: 'wrr' } },
    ]);
    assert.equal((await counters()).dest?.activeConnections, 1);
    const table = () =>
      inside(b, 'ipvsadm', '-Lnc')
        .split('\n')
        .filter((line) => line.includes('ESTABLISHED'));
    assert.equal(table().length, 1);
    await kernel.apply(b, [{ op: 'ipvs.dest.del', dest }]);
    await eventually(() => assert.deepEqual(table(), []));
  });
}

kernelTest('a thousand services of ten destinations each are no long wait', async ({ kernel, netns }) => {
  const ns = await netns();
  const keys = Array.from({ length: 1000 }, (_, i): IpvsKey => {
    return { proto: 'tcp', address: `10.64.${i >> 8}.${i & 255}`, port: 80 };
  });
  const services = keys.map((key): Op => ({ op: 'ipvs.set', service: { ...key, scheduler: 'rr' } }));
  const dests = keys.flatMap((service) =>
    Array.from({ length: 10 }, (_, i): IpvsDest => {
      return { service, address: `10.9.0.${i + 1}`, port: 80, method: 'route', weight: 1 };
    }),
  );
  const begin = performance.now();
  await kernel.apply(ns, [awake, ...services, ...dests.map((dest): Op => ({ op: 'ipvs.dest.set', dest }))]);
  const took = Math.round(performance.now() - begin);
  // A second on a machine that does nothing else; with a process for each it would be many minutes.
  assert.ok(took < 20_000, `${took} ms`);
  const changes = dests
    .filter((_, i) => i % 10 === 0)
    .map((dest): Op => ({ op: 'ipvs.dest.set', dest: { ...dest, weight: 2 } }));
  await kernel.apply(ns, [...services, ...changes]);
  const { ipvs, ipvsDests } = await kernel.read(ns, { ipvs: true });
  assert.deepEqual([ipvs.length, ipvsDests.length], [1000, 10_000]);
  assert.equal(ipvsDests.filter(({ weight }) => weight === 2).length, 1000);
  const some = [keys[1], keys[7]].filter((key) => key !== undefined);
  const absent: IpvsKey = { proto: 'udp', address: '10.255.0.1', port: 1 };
  const theirs = await kernel.read(ns, { ipvsDestsOf: [...some, absent] });
  assert.deepEqual([theirs.ipvs.length, theirs.ipvsTimeouts.length], [0, 0]);
  assert.deepEqual(
    theirs.ipvsDests.map(({ service }) => service),
    some.flatMap((key) => Array.from({ length: 10 }, () => key)),
  );
  await kernel.apply(
    ns,
    keys.map((service) => ({ op: 'ipvs.del', service })),
  );
  assert.deepEqual(await read(kernel, ns), { services: [], dests: [] });
});
