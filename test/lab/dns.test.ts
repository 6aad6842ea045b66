/**
 * Names, asked for with dig(1) in namespaces.
 *
 *   host a ──┐   a1 ── "app", l1 ── "lan" (internal)
 *   host b ──┴── net0   b1 ── "app", and dnsmasq, the resolver of both hosts: example.test and more
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { EndpointJson } from '../../src/control/present.ts';
import { Cluster, type Host, type Status } from '../support/cluster.ts';
import { manyServices } from '../support/service.ts';
import { waitFor } from '../support/wait.ts';
import type { Job } from './job.ts';
import { project } from './tools.ts';

let cluster: Cluster;
let b1: EndpointJson;
const resolver = `exec dnsmasq --no-daemon --conf-file=/dev/null --user=root --pid-file= --no-hosts --no-resolv --log-queries \
  --log-facility=/lab/dnsmasq --bind-interfaces --interface=eth0 --host-record=example.test,192.0.2.80,2001:db8::80 \
  --host-record=web.example.test,192.0.2.81 --ptr-record=80.2.0.192.in-addr.arpa,example.test \
  --txt-record=long.test,${'x'.repeat(200)},${'y'.repeat(200)},${'z'.repeat(200)}`;

before(async () => {
  cluster = await Cluster.boot({ guests: 2 });
  for (const { guest } of cluster.hosts) await guest.ok("echo 'nameserver 10.77.0.2' >/etc/resolv.conf");
  cluster.b.guest.spawn(resolver);
  for (const host of cluster.hosts) await host.init(`--store ${Cluster.store} --advertise eth0`);
  for (const host of cluster.hosts) await host.startAgent();
  await cluster.network('app --subnet 10.9.0.0/16 --subnet fd09::/64');
  await cluster.network('lan --internal --subnet 10.8.0.0/24');
  await cluster.a.attach('app', 'a1');
  b1 = await cluster.b.attach('app', 'b1');
  await cluster.a.attach('lan', 'l1');
});
after(() => cluster?.stop());

type Dug = { status: string; flags: string; answers: string[]; authority: string[]; text: string };

/** `dig WORDS` in a container: what was answered, a line each. */
async function dig(words: string, netns = 'a1', host = cluster.a): Promise<Dug> {
  const { stdout } = await host.inside(netns, `dig +tries=1 +timeout=3 ${words}`);
  const section = (name: string): string[] =>
    new RegExp(`;; ${name} SECTION:\n([^]*?)\n\n`)
      .exec(stdout)?.[1]
      ?.replace(/[ \t]+/g, ' ')
      .split('\n') ?? [];
  return {
    status: /status: (\w+)/.exec(stdout)?.[1] ?? 'none',
    flags: /flags: ([a-z ]*)/.exec(stdout)?.[1] ?? '',
    answers: section('ANSWER'),
    authority: section('AUTHORITY'),
    text: stdout,
  };
}

const dns = async (host: Host) => (await host.ask<Status>('status')).result?.dns ?? assert.fail(host.name);

/** A query every 20 ms from a1. */
async function asking(name: string): Promise<Job> {
  const script = join(project, 'test/support/asker.mjs');
  const job = cluster.a.guest.spawn(`exec ip netns exec a1 ${process.execPath} ${script} 10.9.0.1 ${name} 20`);
  await waitFor(() => job.stdout.includes('asking'), { what: 'questions' });
  return job;
}

type Asked = { sent: number; answered: number; slowest: number; failed: number; addresses: string[] };
async function asked(job: Job): Promise<Asked> {
  job.kill('SIGINT');
  return JSON.parse((await job.done).stdout.replace('asking\n', '')) as Asked;
}

describe('names', () => {
  test('every form of a name, both families, by the search list of the namespace', async () => {
    const [four = '', six = ''] = b1.addresses;
    for (const name of ['b1', 'b1.app', 'b1.app.warren', 'B1.aPP.wArren']) {
      const found = await dig(`${name} A`);
      assert.deepEqual([found.status, found.answers], ['NOERROR', [`${name}. 2 IN A ${four}`]], found.text);
      assert.match(found.flags, /qr aa rd ra/);
      assert.deepEqual((await dig(`${name} AAAA @fd09::1`)).answers, [`${name}. 2 IN AAAA ${six}`]);
    }
    assert.deepEqual((await dig('+search b1')).answers, [`b1.app.warren. 2 IN A ${four}`]);
    assert.deepEqual((await dig('+search +tcp b1.app AAAA')).answers, [`b1.app. 2 IN AAAA ${six}`]);
    const hosts = await cluster.a.inside('a1', 'getent ahosts b1');
    for (const address of [four, six]) assert.ok(hosts.stdout.includes(address), hosts.stdout);
  });

  test('addresses, back to names', async () => {
    for (const address of b1.addresses)
      assert.match((await dig(`-x ${address}`)).answers[0] ?? '', /PTR b1\.app\.warren\.$/);
    assert.deepEqual(
      [(await dig('-x 10.9.200.200')).status, (await dig('-x fd09::dead')).status],
      ['NXDOMAIN', 'NXDOMAIN'],
    );
  });

  test('no such name, no such record, and for how long that holds', async () => {
    const none = await dig('nobody.app.warren');
    assert.deepEqual([none.status, none.answers], ['NXDOMAIN', []]);
    assert.match(
      none.authority[0] ?? '',
      /^app\.warren\. 2 IN SOA app\.warren\. hostmaster\.app\.warren\. \d+ 2 2 2 2$/,
    );
    const nodata = await dig('b1.app.warren TXT');
    assert.deepEqual([nodata.status, nodata.answers, nodata.authority.length], ['NOERROR', [], 1]);
    assert.equal((await dig('l1.lan')).status, 'NXDOMAIN', 'of a network it is not on');
    assert.equal((await dig('l1.lan.warren')).status, 'NXDOMAIN');
    assert.deepEqual((await dig('l1.lan', 'l1')).answers.length, 1);
  });

  test('everything at once is refused politely, zones are not given away', async () => {
    assert.deepEqual((await dig('b1.app ANY')).answers, ['b1.app. 2 IN HINFO "RFC8482" ""']);
    assert.match((await cluster.a.inside('a1', 'dig app.warren AXFR')).stdout, /Transfer failed/);
    assert.equal((await dig('version.bind TXT CH')).status, 'REFUSED');
    assert.equal((await dig('+opcode=notify b1')).status, 'NOTIMP');
  });

  test('EDNS: answered in kind, other versions refused', async () => {
    assert.match((await dig('b1.app')).text, /EDNS: version: 0, flags:; udp: 1232/);
    assert.doesNotMatch((await dig('+noedns b1.app')).text, /OPT PSEUDOSECTION/);
    assert.equal((await dig('+edns=1 +noednsneg b1.app')).status, 'BADVERS');
    assert.match((await dig('+dnssec b1.app')).text, /flags: do;/);
  });

  test('another host’s endpoint comes and goes within two seconds', async () => {
    const { b } = cluster;
    const began = Date.now();
    const guest = await b.attach('app', 'b2');
    await waitFor(async () => (await dig('b2.app')).answers.length === 1, { what: 'b2', timeout: 2000, every: 10 });
    console.log(`${Date.now() - began} ms from before its attach`);
    await b.guest.ok('ip netns del b2');
    const ended = Date.now();
    await waitFor(async () => (await dig('b2.app')).status === 'NXDOMAIN', {
      what: 'b2 to be gone',
      timeout: 2000,
      every: 10,
    });
    console.log(`${Date.now() - ended} ms from its end`);
    assert.equal((await dig(`-x ${guest.addresses[0]}`)).status, 'NXDOMAIN');
  });

  test('services: the virtual IPs, every backend that serves, and their ports', async () => {
    const { a, b } = cluster;
    const web = await a.json<{ vips: string[] }>('service create web --network app --port 80:8080/tcp --health none');
    const backends = [await a.attach('app', 'w1', '--service web'), await b.attach('app', 'w2', '--service web')];
    const serving = async (words: string): Promise<string[]> =>
      (await dig(`+short ${words}`)).text.trim().split('\n').filter(Boolean).sort();
    const addresses = (at: number): string[] => backends.map((each) => each.addresses[at] ?? '').sort();
    for (const [at, type] of [
      [0, 'A'],
      [1, 'AAAA'],
    ] as const) {
      assert.deepEqual(await serving(`web.app ${type}`), [web.vips[at]]);
      await waitFor(async () => assert.deepEqual(await serving(`tasks.web ${type}`), addresses(at)) === undefined, {
        what: 'both backends',
        timeout: 5000,
      });
    }
    assert.match((await dig(`-x ${web.vips[0]}`)).answers[0] ?? '', /PTR web\.app\.warren\.$/);
    assert.deepEqual(await serving('_80._tcp.web SRV'), ['0 0 80 web.app.warren.']);
    const each = await dig('_80._tcp.tasks.web.app.warren SRV');
    assert.deepEqual(each.answers.map((line) => line.replace(/.* SRV /, '')).sort(), [
      '0 1 8080 w1.app.warren.',
      '0 1 8080 w2.app.warren.',
    ]);
    assert.match(each.text, /ADDITIONAL: 5/);
    await b.ask('endpoint.detach', { endpoint: 'w2' });
    await waitFor(async () => (await serving('tasks.web A')).length === 1, { what: 'one to be left', timeout: 2000 });
    await a.ask('endpoint.detach', { endpoint: 'w1' });
    await waitFor(async () => (await dig('tasks.web')).answers.length === 0, { what: 'none', timeout: 2000 });
    assert.equal((await dig('tasks.web')).status, 'NOERROR');
    await a.json('service rm web');
    assert.equal((await dig('web.app')).status, 'NXDOMAIN');
    await a.guest.ok('ip netns del w1');
    await b.guest.ok('ip netns del w2');
  });

  test('warren resolve', async () => {
    const { a, b } = cluster;
    type Resolved = { network: string | null; addresses: string[]; records: { type: string; data: string }[] };
    const resolve = (host: Host, name: string, from?: string) => host.ask<Resolved>('resolve', { name, from });
    const known = async (host: Host, name: string) => (await resolve(host, name)).result ?? assert.fail(name);
    assert.deepEqual((await known(a, 'b1')).addresses, b1.addresses);
    assert.deepEqual((await known(a, 'b1.app.warren')).network, 'app');
    assert.deepEqual((await known(a, b1.addresses[1] ?? '')).records[0]?.data, 'b1.app.warren.');
    assert.deepEqual((await known(b, 'lan/l1')).network, 'lan', 'of a network that is not here');
    assert.deepEqual((await known(a, 'example.test')).addresses, ['192.0.2.80', '2001:db8::80']);
    for (const [name, from] of [['nobody'], ['l1', 'a1'], ['example.test', 'l1']])
      assert.equal((await resolve(a, name ?? '', from)).error?.code, 'name_not_found', name);
    const { stdout } = await a.warren('resolve b1 --from a1');
    assert.match(stdout, /^NAME +TTL +TYPE +DATA\nb1 +2 +A +10\.9\.0\.\d+\nb1 +2 +AAAA/);
    assert.equal((await a.warren('resolve nobody')).code, 3);
  });
});

describe('everything else', () => {
  test('is asked for at the host’s resolvers, in UDP and TCP', async () => {
    for (const how of ['', '+tcp', '@fd09::1', '@fd09::1 +tcp']) {
      const found = await dig(`${how} example.test`);
      assert.deepEqual(found.answers, ['example.test. 0 IN A 192.0.2.80'], `${how} ${found.text}`);
    }
    assert.deepEqual((await dig('example.test AAAA')).answers, ['example.test. 0 IN AAAA 2001:db8::80']);
    assert.deepEqual((await dig('-x 192.0.2.80')).answers, ['80.2.0.192.in-addr.arpa. 0 IN PTR example.test.']);
    assert.match(await cluster.b.guest.read('/lab/dnsmasq'), /query\[A\] example\.test from 10\.77\.0\.1/);
  });

  test('a long answer is cut to what the client takes, and whole over TCP', async () => {
    const short = await dig('+noedns +ignore long.test TXT');
    assert.match(short.flags, /tc/);
    assert.deepEqual(short.answers, []);
    const whole = await dig('+noedns long.test TXT');
    assert.match(whole.text, /Truncated, retrying in TCP mode.*x{200}" "y{200}" "z{200}/s);
  });

  test('but not in an internal network', async () => {
    const refused = await dig('example.test', 'l1');
    assert.equal(refused.status, 'REFUSED');
    assert.match(refused.text, /EDE: 20 \(Not Authoritative\): \(network "lan" is internal\)/);
    assert.doesNotMatch(refused.flags, /ra/);
  });

  test('names without a dot are nobody else’s business', async () => {
    assert.equal((await dig('secret-name')).status, 'NXDOMAIN');
    assert.doesNotMatch(await cluster.b.guest.read('/lab/dnsmasq'), /secret-name/);
  });

  test('a resolver that does not answer is passed over, one that is changed is noticed, none is said', async () => {
    const { guest } = cluster.a;
    const set = async (...servers: string[]) => {
      await guest.ok(`printf 'nameserver %s\\n' ${servers.join(' ')} >/etc/resolv.conf`);
      await sleep(1100);
    };
    await set('10.77.0.200', '10.77.0.2');
    assert.deepEqual((await dig('+timeout=4 web.example.test')).answers.length, 1);
    await set('10.9.0.1');
    const nobody = await dig('example.test');
    assert.equal(nobody.status, 'SERVFAIL', 'asking itself would go round in circles');
    assert.match(nobody.text, /EDE: 23 \(Network Error\)/);
    await set('10.77.0.2');
    assert.deepEqual((await dig('example.test')).answers.length, 1);
  });
});

describe('it goes on', () => {
  test('kill -9 of the agent, its absence, and its return: no question is left unanswered', async () => {
    const { a } = cluster;
    const before = await dns(a);
    assert.ok(before.up && before.trouble === null && before.networks === 2, JSON.stringify(before));
    const job = await asking('b1.app.warren');
    await sleep(300);
    await a.killAgent();
    await sleep(1000);
    assert.equal((await dig('b1.app')).answers.length, 1);
    await a.startAgent();
    await sleep(300);
    const { sent, answered, failed, slowest, addresses } = await asked(job);
    console.log(`${sent} questions, ${answered} answers, the slowest after ${slowest.toFixed(1)} ms`);
    assert.ok(sent > 50);
    assert.deepEqual([answered, failed, addresses], [sent, 0, [b1.addresses[0]]]);
    assert.equal((await dns(a)).pid, before.pid, 'the same process');
  });

  test('without the store, too', async () => {
    const { a } = cluster;
    await cluster.lab.net('block a.0 b.0');
    await a.guest.ok('kill -STOP $(pidof redis-server)');
    assert.equal((await dig('b1')).answers.length, 1);
    await a.guest.ok('kill -CONT $(pidof redis-server)');
    await cluster.lab.net('unblock a.0 b.0');
    await cluster.b.settled();
  });

  test('killed, it is back in a second, whoever started it', async () => {
    const { a } = cluster;
    for (const whose of ['adopted', 'its own']) {
      const { pid } = await dns(a);
      const began = Date.now();
      await a.guest.ok(`kill -9 ${pid}`);
      await waitFor(async () => (await dig('+timeout=1 b1')).answers.length === 1, {
        what: 'an answer',
        timeout: 10_000,
        every: 20,
      });
      console.log(`${whose}: an answer after ${Date.now() - began} ms`);
      await waitFor(async () => (await dns(a)).up, { what: 'its pid' });
      assert.notEqual((await dns(a)).pid, pid);
    }
  });

  test('another program takes over from the one before, and no question is left unanswered', async () => {
    const { a } = cluster;
    const { pid } = await dns(a);
    const job = await asking('b1');
    await a.killAgent();
    await a.guest.ok('sed -i \'s/"as":"[^"]*"/"as":"older"/\' /run/warren/dns.json');
    await a.startAgent();
    await waitFor(async () => ![pid, null].includes((await dns(a)).pid), { what: 'another' });
    const { sent, answered } = await asked(job);
    assert.equal(answered, sent);
    assert.equal((await dig('+tcp b1')).answers.length, 1);
    assert.equal((await a.guest.ok('pgrep -fc "[w]arren-dns.mjs"')).trim(), '1');
  });

  test('whose files were lost, it is found', async () => {
    const { a } = cluster;
    const { pid } = await dns(a);
    await a.killAgent();
    await a.guest.ok('rm -r /run/warren');
    await a.startAgent();
    await waitFor(async () => (await dns(a)).networks === 2, { what: 'its word' });
    assert.equal((await dns(a)).pid, pid);
  });

  test('octets of all kinds do it no harm', async () => {
    const { a } = cluster;
    const { pid } = await dns(a);
    const noise = `for i in $(seq 40); do head -c $((RANDOM % 600)) /dev/urandom >/dev/udp/10.9.0.1/53; done
      for i in $(seq 5); do head -c 3000 /dev/urandom >/dev/tcp/10.9.0.1/53; done; true`;
    await a.guest.ok(['ip', 'netns', 'exec', 'a1', 'bash', '-c', noise]);
    assert.equal((await dig('b1')).answers.length, 1);
    assert.equal((await dns(a)).pid, pid);
  });
});

describe('a service of 600 backends', () => {
  let writer: Job;
  before(async () => {
    writer = await manyServices(cluster.a, 'app', 1, 600);
    await waitFor(async () => (await dig('+tcp tasks.s0')).answers.length === 600, { what: 'all of them' });
  });
  after(() => writer?.kill('SIGKILL'));

  test('in UDP as many as the client has room for, and word that there are more; in TCP all', async () => {
    for (const [words, room] of [
      ['+noedns', 512],
      ['+bufsize=1232', 1232],
      // More than that may be cut to pieces on its way: nobody gets it.
      ['+bufsize=4096', 1232],
    ] as const) {
      const { flags, answers, text } = await dig(`${words} +ignore tasks.s0`);
      const size = Number(/MSG SIZE {2}rcvd: (\d+)/.exec(text)?.[1]);
      assert.match(flags, /\btc\b/, text);
      assert.ok(size <= room && size > room - 32, `${words}: ${size} bytes, ${answers.length} answers`);
    }
    const whole = await dig('tasks.s0');
    assert.match(whole.text, /Truncated, retrying in TCP mode/);
    assert.equal(new Set(whole.answers).size, 600);
    assert.equal((await dig('+tcp tasks.s0 AAAA')).answers.length, 600);
  });

  test('by its own name one answer, in one datagram', async () => {
    const { flags, answers } = await dig('s0');
    assert.equal(answers.length, 1);
    assert.doesNotMatch(flags, /tc/);
  });
});

describe('where it is', () => {
  test('a network leaves this host, at once and whole, and comes back', async () => {
    const { a } = cluster;
    const inside = () => a.guest.run('ls /run/netns; ip -o link show type veth');
    await cluster.network('brief --subnet 10.7.0.0/24 --subnet fd07::/64');
    for (let round = 0; round < 3; round++) {
      const endpoint = await a.attach('brief', 'x1');
      assert.equal((await dig('x1', 'x1')).answers.length, 1);
      // A connection that is open does not keep it either.
      const open = a.guest.spawn([
        'ip',
        'netns',
        'exec',
        'x1',
        'bash',
        '-c',
        'exec 5<>/dev/tcp/10.7.0.1/53; echo; sleep 100',
      ]);
      await waitFor(() => open.stdout, { what: 'a connection' });
      await a.ask('endpoint.detach', { endpoint: endpoint.id });
      await waitFor(async () => !(await inside()).stdout.match(/warren-1048578|wup1048578/), {
        what: 'the network to be gone',
        // It takes 0.2 s; a connection that kept it would for minutes.
        timeout: 10_000,
      });
      open.kill('SIGKILL');
      await a.guest.ok('ip netns del x1');
    }
    await a.json('network rm brief');
  });

  test('run: names in the command, nothing on the host', async () => {
    const { a } = cluster;
    const before = await a.guest.read('/etc/resolv.conf');
    const run = await a.warren("run app --name job -- sh -c 'cat /etc/resolv.conf; getent hosts b1; dig +short job'");
    assert.match(run.stdout, /^nameserver 10\.9\.0\.1\nnameserver fd09::1\nsearch app\.warren warren\nfd09::/);
    assert.match(run.stdout, /\n10\.9\.\d+\.\d+\n$/);
    assert.equal(await a.guest.read('/etc/resolv.conf'), before);
    assert.match((await a.warren('endpoint exec app/a1 -- getent hosts b1')).stdout, /b1\.app\.warren/);
  });

  test('the first attach of a network on a host can ask at once', async () => {
    const { a } = cluster;
    await cluster.network('fresh --subnet 10.6.0.0/24');
    const run = await a.warren("run fresh --name me -- sh -c 'dig +short +tries=1 +timeout=1 me'");
    assert.match(run.stdout, /^10\.6\.0\.\d+$/m, run.stderr);
    await a.json('network rm fresh');
  });

  test('/etc/netns has what was not there, and only while it is attached', async () => {
    const { a } = cluster;
    const list = () => a.guest.ok('find /etc/netns 2>/dev/null | sort; true');
    assert.match(await a.guest.read('/etc/netns/a1/resolv.conf'), /^# warren .*\nnameserver 10\.9\.0\.1\n/);
    const before = await list();
    await a.guest.ok(
      'mkdir -p /etc/netns/own /etc/netns/half; echo "nameserver 192.0.2.1" >/etc/netns/own/resolv.conf',
    );
    for (const netns of ['own', 'half', 'new']) await a.attach('app', netns);
    assert.equal(await a.guest.read('/etc/netns/own/resolv.conf'), 'nameserver 192.0.2.1\n');
    assert.match(await a.guest.read('/etc/netns/half/resolv.conf'), /10\.9\.0\.1/);
    await a.ask('endpoint.detach', { endpoint: 'own' });
    await cluster.b.ask('endpoint.detach', { endpoint: 'half' });
    // One that goes while there is no agent.
    await a.killAgent();
    await a.guest.ok('ip netns del new');
    await a.startAgent();
    const left = `${before}/etc/netns/half\n/etc/netns/own\n/etc/netns/own/resolv.conf\n`;
    await waitFor(
      async () =>
        assert.equal(await list(), left.split('\n').filter(Boolean).sort().join('\n').concat('\n')) === undefined,
      { what: 'the rest' },
    );
    await a.guest.ok('rm -r /etc/netns/half /etc/netns/own; ip netns del own; ip netns del half');
  });

  test('who is on a dead host is out of it', async () => {
    const { b } = cluster;
    await b.guest.kill();
    const began = Date.now();
    await waitFor(async () => (await dig('b1')).status === 'NXDOMAIN', {
      what: 'b1 to be out',
      timeout: 20_000,
      every: 200,
    });
    console.log(`${Date.now() - began} ms after its host’s death`);
    assert.equal((await dig('a1')).answers.length, 1);
  });

  test('leave ends it, and leaves nothing', async () => {
    const { a } = cluster;
    const left = await a.warren('leave --force');
    assert.equal(left.code, 0, left.stderr);
    assert.equal(
      await a.guest.ok(
        'pgrep -f "[w]arren-dns.mjs"; ls -d /etc/netns /run/warren /run/netns/warren-* 2>/dev/null; true',
      ),
      '',
    );
    assert.equal((await a.inside('a1', 'ls /etc/resolv.conf')).code, 0);
  });
});
