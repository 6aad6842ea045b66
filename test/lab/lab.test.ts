/**
 * The lab itself: what every other scenario takes for granted.
 *
 *      a ──┐
 *      b ──┼── net0   10.77.0.0/24  fd77::/64
 *      c ──┘
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { soon, waitFor } from '../support/wait.ts';
import { Lab } from './lab.ts';
import { here } from './tools.ts';

let lab: Lab;
before(async () => {
  lab = await Lab.start();
});
after(() => lab?.stop());

/** Round trips of one ping, or that it got no answer. */
async function ping(
  from: 'a' | 'b' | 'c',
  to: string,
  ...options: string[]
): Promise<{ answered: boolean; ms: number }> {
  const result = await lab.guests[from].run(['ping', '-n', '-c1', '-W1', ...options, to]);
  return { answered: result.code === 0, ms: Number(/time=([\d.]+)/.exec(result.stdout)?.[1] ?? Number.NaN) };
}
const answered = async (...args: Parameters<typeof ping>) => (await ping(...args)).answered;

describe('guests', () => {
  test('are separate machines', async () => {
    const identities = await Promise.all(
      lab.all.map((guest) => guest.ok('hostname; cat /proc/sys/kernel/random/boot_id; cat /etc/machine-id')),
    );
    const words = identities.flatMap((text) => text.trim().split('\n'));
    assert.equal(new Set(words).size, 9, 'hostname, boot id and machine id differ');
    assert.equal(lab.guests.a.address(), '10.77.0.1');
    assert.equal(lab.guests.c.address(6), 'fd77::3');
  });

  test('reach each other over IPv4 and IPv6, by address and name', async () => {
    for (const to of ['10.77.0.2', 'fd77::2', '10.77.0.3', 'fd77::3', 'b', 'c']) assert.ok(await answered('a', to), to);
  });

  test('know nothing of a warren on this machine, and have ours on PATH', async () => {
    const { a } = lab.guests;
    assert.equal(await a.ok('ls -d /etc/warren /var/lib/warren /etc/netns 2>/dev/null || true'), '');
    assert.equal((await a.ok('readlink /usr/local/bin/warren')).trim(), join(here, '../../bin/warren'));
  });

  test('see the project, but cannot change this machine', async () => {
    const { a } = lab.guests;
    const own = join(here, 'lab.test.ts');
    await a.ok(['sh', '-c', `echo spoilt >${own}`]);
    assert.equal(await a.read(own), 'spoilt\n', "it is the guest's own copy");
    const direct = await a.run(`mkdir /run/m && mount -t hostfs -o / h /run/m && touch /run/m${own}.new`);
    assert.match(direct.stderr, /Read-only file system/);
    assert.ok(!existsSync(`${own}.new`));
    assert.match(readFileSync(own, 'utf8'), /The lab itself/);
  });

  test('run commands: status, signal, timeout, input, environment, a missing program', async () => {
    const { a } = lab.guests;
    assert.equal((await a.run('exit 7')).code, 7);
    assert.equal((await a.run('kill -TERM $$')).signal, 15);
    const late = await a.run('sleep 60', { timeout: 200 });
    assert.ok(late.timedOut && late.code === null);
    const echo = await a.run(['sh', '-c', 'cat; echo "$WORD $PWD" >&2'], {
      input: 'in',
      env: { WORD: 'out' },
      cwd: '/usr',
    });
    assert.deepEqual([echo.stdout, echo.stderr], ['in', 'out /usr\n']);
    assert.equal((await a.run(['no-such-program'])).code, 127);
    await assert.rejects(a.ok('echo no >&2; exit 3'), /a: echo no .*exit 3\nno/s);
    const job = a.spawn('trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 0.05; done');
    await waitFor(() => job.stdout === 'ready\n', { what: 'the job to be ready' });
    job.kill();
    assert.equal((await job.done).stdout, 'ready\nbye\n');
  });

  test('take and give files and JSON', async () => {
    const { a } = lab.guests;
    await a.write('/run/deep/er/file', 'text\n', '600');
    assert.equal(await a.ok('stat -c %a /run/deep/er/file; cat /run/deep/er/file'), '600\ntext\n');
    const links = await a.json<{ ifname: string; mtu: number }[]>(['ip', '-j', 'link', 'show', 'eth0']);
    assert.deepEqual([links[0]?.ifname, links[0]?.mtu], ['eth0', 1500]);
    await assert.rejects(a.json('echo no'), /not JSON: no/);
    writeFileSync(join(lab.share, 'shared'), 'both ways');
    assert.equal(await lab.guests.b.read('/lab/shared'), 'both ways');
  });

  test('give 10 MB of output unharmed', async () => {
    const { a } = lab.guests;
    const result = await a.run('head -c 10000000 /dev/urandom | tee /lab/random; echo done >&2');
    assert.equal(result.stderr, 'done\n');
    const digest = (data: Buffer) => createHash('sha256').update(data).digest('hex');
    assert.equal(digest(result.output), digest(readFileSync(join(lab.share, 'random'))));
  });

  test('have the bridge-nf-call switches where the scenario put them', async () => {
    assert.equal((await lab.guests.a.ok('sysctl -n net.bridge.bridge-nf-call-iptables')).trim(), '0');
    await using other = await Lab.start({ guests: 1, brNetfilter: true });
    assert.equal((await other.guests.a.ok('sysctl -n net.bridge.bridge-nf-call-ip6tables')).trim(), '1');
  });
});

describe('the switch', () => {
  test('cuts a link', async () => {
    await lab.net('set a.0 up 0');
    assert.ok(!(await answered('a', '10.77.0.2')));
    assert.ok(await answered('c', '10.77.0.2'));
    await lab.net('set a.0 up 1');
    assert.ok(await answered('a', '10.77.0.2'));
  });

  test('loses and delays frames', async () => {
    await lab.net('set a.0 loss 100');
    assert.ok(!(await answered('a', '10.77.0.2')));
    await lab.net('set a.0 loss 0');
    await lab.net('set a.0 delay 40');
    const { ms } = await ping('a', '10.77.0.2');
    assert.ok(ms >= 40 && ms < soon(400), `${ms} ms`);
    await lab.net('set a.0 delay 0');
  });

  test('blocks a pair of ports only', async () => {
    await lab.net('block a.0 b.0');
    assert.deepEqual([await answered('a', '10.77.0.2'), await answered('a', '10.77.0.3')], [false, true]);
    await lab.net('unblock a.0 b.0');
    assert.ok(await answered('a', '10.77.0.2'));
  });

  test('drops by protocol', async () => {
    await lab.net('drop * 1');
    assert.deepEqual([await answered('a', '10.77.0.2'), await answered('a', 'fd77::2')], [false, true]);
    await lab.net('undrop');
    assert.ok(await answered('a', '10.77.0.2'));
  });

  test('captures and counts', async () => {
    const file = join(lab.share, 'ping.pcap');
    const before = (await lab.stats())['a.0'];
    await lab.capture(file, 'a.0');
    assert.ok(await answered('a', '10.77.0.2', '-p', '77'));
    await lab.net('pcap off');
    const text = execFileSync('tcpdump', ['-nr', file, 'icmp'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    assert.match(text, /10\.77\.0\.1 > 10\.77\.0\.2: ICMP echo request/);
    const now = (await lab.stats())['a.0'];
    assert.ok(now && before && now.rx > before.rx && now.tx > before.tx && now.link === 1);
  });

  test('counts what it could read and what it could not', async () => {
    const before = (await lab.stats())['b.0'];
    const send = (port: number) => `printf x >/dev/udp/10.77.0.3/${port}`;
    await lab.guests.b.ok(['bash', '-c', `${send(4789)}; ${send(4790)}; ${send(4790)}; ${send(4500)}`]);
    const now = (await lab.stats())['b.0'];
    assert.ok(now && before);
    assert.deepEqual([now.vxlan - before.vxlan, now.plain - before.plain, now.espudp - before.espudp], [1, 2, 1]);
  });

  test('says what is wrong with a command', async () => {
    await assert.rejects(lab.net('set z.9 up 0'), /switch: set z\.9 up 0: no such port/);
    await assert.rejects(lab.net('jump'), /unknown command/);
  });
});

describe('power', () => {
  test('a guest is killed under a running command and comes back clean', async () => {
    const { a, b } = lab.guests;
    await b.ok('touch /root/mark');
    const job = b.spawn('sleep 60');
    await b.kill();
    assert.ok((await job.done).guestDied);
    assert.throws(() => b.spawn('true'), /guest b is down/);
    assert.ok(!(await answered('a', '10.77.0.2')));
    await b.start();
    assert.equal((await b.run('test -e /root/mark')).code, 1, 'nothing a guest writes outlives it');
    await waitFor(() => answered('a', '10.77.0.2'), { what: 'b to answer again' });
    await a.ok(['ip', 'link', 'set', 'eth0', 'down']);
    await a.ok(['ip', 'link', 'set', 'eth0', 'up']);
    await waitFor(() => answered('a', '10.77.0.2'), { what: "a's link to be back" });
  });

  test('a guest that booted in time is not killed for it later', async () => {
    await using other = await Lab.start({ guests: 1, memory: '128M', bootTimeout: 6000 });
    assert.equal((await other.guests.a.run(['sleep', '6.5'])).code, 0);
  });

  test('a routed underlay: two segments and a router', async () => {
    await using routed = await Lab.start({
      memory: '256M',
      guests: {
        r: {
          forward: true,
          nics: [
            { segment: 's1', addresses: ['10.1.0.254/24'] },
            { segment: 's2', addresses: ['10.2.0.254/24'] },
          ],
        },
        x: { nics: [{ segment: 's1', addresses: ['10.1.0.1/24'] }], routes: ['default via 10.1.0.254'] },
        y: { nics: [{ segment: 's2', addresses: ['10.2.0.1/24'], mtu: 1400 }], routes: ['default via 10.2.0.254'] },
      },
    });
    assert.match(await routed.guests.x.ok('ping -nc1 -W2 10.2.0.1'), /ttl=63/);
  });
});

describe('afterwards', () => {
  /** Anything on this machine that still names the directory. */
  const processes = (directory: string) =>
    execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
      .split('\n')
      .filter((line) => line.includes(directory));

  test('a stopped lab leaves no process and no directory', async () => {
    const other = await Lab.start({ guests: 1, memory: '128M' });
    const directory = join(other.share, '..');
    assert.ok(processes(directory).length > 0);
    await other.stop();
    assert.ok(!existsSync(directory));
    assert.deepEqual(processes(directory), []);
  });

  test('nor does one whose harness is killed, once the next one starts', async () => {
    const script = `
      const { Lab } = await import(${JSON.stringify(join(here, 'lab.ts'))});
      const lab = await Lab.start({ guests: 1, memory: '128M' });
      console.log(lab.share);
      setInterval(() => {}, 1000);`;
    const start = async () => {
      const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, NODE_TEST_CONTEXT: undefined },
      });
      const [share] = (await once(child.stdout, 'data')) as [Buffer];
      return { child, directory: join(share.toString().trim(), '..') };
    };
    const killed = await start();
    killed.child.kill('SIGKILL');
    await once(killed.child, 'exit');
    await waitFor(() => processes(killed.directory).length === 0, { what: 'the guest to die with its harness' });
    const next = await start();
    assert.ok(!existsSync(killed.directory), 'the next lab sweeps');
    next.child.kill('SIGTERM');
    const [, signal] = await once(next.child, 'exit');
    assert.equal(signal, 'SIGTERM');
    assert.ok(!existsSync(next.directory), 'a signal is not an excuse');
    await waitFor(() => processes(next.directory).length === 0, { what: 'the guest to die with its harness' });
  });
});
