/**
 * The role that provisions a cluster, by ansible-playbook on this machine, over ssh into three hosts that know nothing of it.
 *
 *   a  the manager      b, c  workers      app  an encrypted network; web  a service on it
 *
 * Not here: the role's install.yml and unit.yml. Guests have this machine's files, so warren is on their PATH, but neither
 * systemd nor a way to a package mirror: the agent is started by the command the role has for such hosts.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { NetworkJson, NodeJson } from '../../src/control/present.ts';
import type { ServiceJson } from '../../src/control/present-service.ts';
import { Host } from '../support/cluster.ts';
import { Lab } from './lab.ts';
import { Ssh } from './ssh.ts';
import { project } from './tools.ts';

type Run = { code: number; output: string; hosts: Record<string, Record<string, number>> };

let lab: Lab;
let ssh: Ssh;
let hosts: Host[] = [];

before(async () => {
  lab = await Lab.start({ guests: 3 });
  ssh = await Ssh.start(lab);
  hosts = lab.all.map((guest) => new Host(guest));
});
after(async () => {
  await ssh?.[Symbol.asyncDispose]();
  await lab?.stop();
});

const wishes = {
  warren_source: 'none',
  warren_supervisor: 'command',
  warren_start: 'exec warren agent -v >>/lab/$(hostname).agent 2>&1',
  warren_environment: { WARREN_REKEY_INTERVAL: '1800' },
  warren_networks: [{ name: 'app', subnets: ['10.9.0.0/16', 'fd09::/64'], labels: { team: 'web' } }],
  warren_services: [{ name: 'web', network: 'app', ports: ['80:8080'], health: 'none' }],
};

async function playbook(options: readonly string[] = [], more: Record<string, unknown> = {}): Promise<Run> {
  const vars = { ...wishes, ...more };
  const inventory = {
    warren: {
      hosts: Object.fromEntries(hosts.map(({ name, guest }) => [name, { warren_advertise: guest.address() }])),
      vars: { ansible_user: 'root', ansible_python_interpreter: '/usr/bin/python3', ...vars },
    },
  };
  const file = join(ssh.directory, 'inventory.json');
  writeFileSync(file, JSON.stringify(inventory));
  const began = performance.now();
  const run = await new Promise<{ code: number; output: string }>((resolve) => {
    const argv = ['-i', file, join(project, 'ansible/site.yml'), ...options];
    const child = execFile(
      'ansible-playbook',
      argv,
      { env: environment(), maxBuffer: 1 << 28 },
      (error, stdout, stderr) => resolve({ code: Number(error?.code ?? 0), output: stdout + stderr }),
    );
    child.stdin?.end();
  });
  const recap = [...run.output.matchAll(/^(\w+) +: (ok=.*)$/gm)].map(([, host = '', counts = '']) => [
    host,
    Object.fromEntries([...counts.matchAll(/(\w+)=(\d+)/g)].map(([, what, count]) => [what, Number(count)])),
  ]);
  console.log(`${((performance.now() - began) / 1000).toFixed(1)} s: ansible-playbook ${options.join(' ')}`);
  return { ...run, hosts: Object.fromEntries(recap) };
}

function environment(): NodeJS.ProcessEnv {
  return {
    ...{ PATH: process.env.PATH, HOME: ssh.directory, LC_ALL: 'C.UTF-8', ANSIBLE_NOCOLOR: '1' },
    ...{ ANSIBLE_CONFIG: join(project, 'ansible/ansible.cfg'), ANSIBLE_FORKS: '3', ANSIBLE_TIMEOUT: '60' },
    ANSIBLE_LOCAL_TEMP: join(ssh.directory, 'tmp'),
    ANSIBLE_SSH_CONTROL_PATH_DIR: join(ssh.directory, 'cp'),
    // Each handshake costs the guests a second; the connections end with the lab.
    ANSIBLE_SSH_ARGS: ['ControlMaster=auto', 'ControlPersist=10m', ...ssh.options]
      .map((word) => `-o "${word}"`)
      .join(' '),
  };
}

const changes = ({ hosts }: Run) =>
  Object.fromEntries(Object.entries(hosts).map(([name, { changed }]) => [name, changed]));
const none = { a: 0, b: 0, c: 0 };

function succeeded(run: Run): void {
  const { code, output, hosts } = run;
  assert.equal(code, 0, output.slice(-6000));
  assert.deepEqual(Object.keys(hosts), ['a', 'b', 'c'], output.slice(-2000));
}

test('a check on hosts that have nothing tells of every change, and makes none', async () => {
  const run = await playbook(['--check', '--diff']);
  succeeded(run);
  for (const [name, changed] of Object.entries(changes(run)))
    assert.ok(changed && changed >= 2, `${name}: ${run.output}`);
  assert.match(run.output, /\+ {2}"name": "app"/);
  for (const { name, guest } of hosts) {
    const left = await guest.run(
      'ls -d /etc/warren /var/lib/warren /run/warren; pgrep -fl "[w]arren agent|[w]arren-dns|[r]edis-server"',
    );
    assert.equal(left.stdout, '', name);
  }
});

test('one run makes the cluster, its network and its service; containers reach each other, encrypted', async () => {
  const run = await playbook(['-vvv']);
  succeeded(run);
  const [a, b, c] = hosts as [Host, Host, Host];
  const nodes = await a.json<NodeJson[]>('node ls');
  assert.deepEqual(
    nodes.map(({ name, role, address, status }) => [name, role, address, status]),
    [
      ['a', 'manager', '10.77.0.1', 'up'],
      ['b', 'worker', '10.77.0.2', 'up'],
      ['c', 'worker', '10.77.0.3', 'up'],
    ],
  );
  const network = await c.json<NetworkJson>('network inspect app');
  assert.deepEqual(
    [network.subnets, network.encrypted, network.labels],
    [['10.9.0.0/16', 'fd09::/64'], true, { team: 'web' }],
  );
  const service = await b.json<ServiceJson>('service inspect app/web');
  assert.deepEqual(service.ports, [{ port: 80, target: 8080, proto: 'tcp' }]);
  const there = await c.attach('app', 'c1');
  await b.attach('app', 'b1');
  for (const address of there.addresses) {
    const ping = await b.inside('b1', `ping -n -c1 -W2 ${address}`);
    assert.equal(ping.code, 0, `${address}: ${ping.stdout}`);
  }
  const { token } = await a.json<{ token: string }>('token');
  const secret = token.split('-').at(-1) ?? '';
  assert.ok(secret.length > 20, 'a secret that can be looked for');
  assert.ok(!run.output.includes(secret), 'the token is in no output, however much is told');
  assert.match(run.output, /output has been hidden|VALUE_SPECIFIED_IN_NO_LOG/);
  assert.deepEqual((await a.settled()).warnings, []);
});

test('again it changes nothing, and a check says so', async () => {
  for (const options of [[], ['--check', '--diff']]) {
    const run = await playbook(options);
    succeeded(run);
    assert.deepEqual(changes(run), none, run.output);
    assert.doesNotMatch(run.output, /^[+-]/m);
  }
});

test('what is wished differently is foretold by a check, and then so', async () => {
  const [a] = hosts as [Host];
  const wish = { ...wishes.warren_networks[0], labels: { team: 'db' } };
  const services = [{ ...wishes.warren_services[0], ports: ['81:8080'] }];
  const more = { warren_networks: [wish], warren_services: services };
  const check = await playbook(['--check', '--diff'], more);
  succeeded(check);
  assert.deepEqual(changes(check), { ...none, a: 2 }, check.output);
  assert.match(check.output, /^- +"team": "web"\n\+ +"team": "db"/m);
  assert.deepEqual((await a.json<NetworkJson>('network inspect app')).labels, { team: 'web' });
  const run = await playbook([], more);
  succeeded(run);
  assert.deepEqual(changes(run), { ...none, a: 2 }, run.output);
  assert.deepEqual((await a.json<NetworkJson>('network inspect app')).labels, { team: 'db' });
  assert.deepEqual(
    (await a.json<ServiceJson>('service inspect app/web')).ports.map(({ port }) => port),
    [81],
  );
});

/** What demo.sh knows of its machines is `vagrant ssh`: here it leads into the guests. */
function vagrant(): string {
  const bin = join(ssh.directory, 'bin');
  mkdirSync(bin);
  const options = [...ssh.options, 'ControlMaster=auto', 'ControlPersist=10m', `ControlPath=${ssh.directory}/%h.mux`];
  const words = options.map((word) => `-o '${word}'`).join(' ');
  const script = `#!/bin/sh
[ "$1" = ssh ] || exit 0
exec ssh ${words} root@$(echo "$2" | tr n123 _abc | tr -d _) "$4"
`;
  writeFileSync(join(bin, 'vagrant'), script, { mode: 0o755 });
  return bin;
}

test('vagrant/demo.sh makes a network, shows who reaches whom by name, and takes it away again', async () => {
  const [a] = hosts as [Host];
  await Promise.all(lab.all.map((guest) => guest.write('/usr/local/bin/sudo', '#!/bin/sh\nexec "$@"\n', '755')));
  const env = { ...process.env, PATH: `${vagrant()}:${process.env.PATH}` };
  const demo = (...argv: string[]) =>
    new Promise<string>((resolve, reject) => {
      execFile(join(project, 'vagrant/demo.sh'), argv, { env }, (error, stdout, stderr) =>
        error ? reject(new Error(stdout + stderr, { cause: error })) : resolve(stdout),
      );
    });
  const reached = (await demo()).split('\n').filter((line) => line.includes(' reaches '));
  assert.equal(reached.length, 6, reached.join('\n'));
  await demo('down');
  assert.deepEqual(
    (await a.json<NetworkJson[]>('network ls')).map(({ name }) => name),
    ['app'],
  );
});
