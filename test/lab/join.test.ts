/**
 * A cluster from nothing: one host makes it, with a store of its own; others join by a token. And who must stay outside.
 *
 *   a  warren init                 its Redis: TLS, a user for every node
 *   b  warren join TOKEN a         worker
 *   c  warren join TOKEN a         manager
 *   d  a stranger
 */
import 'reflect-metadata'; // what @peculiar/x509 is built on
import assert from 'node:assert/strict';
import { webcrypto, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pkcs10CertificateRequest, X509Certificate as X509, X509CertificateGenerator } from '@peculiar/x509';
import type { EndpointJson, NodeJson } from '../../src/control/present.ts';
import { newRequest } from '../../src/pki/certificate.ts';
import { derOf, type KeyPair } from '../../src/pki/pem.ts';
import { Host, type Status } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';
import { Lab } from './lab.ts';

let lab: Lab;
let hosts: Host[] = [];
const [a, b, c, d] = [0, 1, 2, 3].map((i) => () => hosts[i] as Host) as [
  () => Host,
  () => Host,
  () => Host,
  () => Host,
];
const pki = '/var/lib/warren/pki';

before(async () => {
  lab = await Lab.start({ guests: 4 });
  hosts = lab.all.map((guest) => new Host(guest));
});
after(() => lab?.stop());

async function token(options = 'worker'): Promise<string> {
  return (await a().json<{ token: string }>(`token ${options}`)).token;
}

async function join(host: Host, text: string, at = 'a', options = ''): ReturnType<Host['warren']> {
  await host.guest.write('/tmp/token', text, '600');
  return host.guest.run(`warren join - ${at} ${options} --json </tmp/token`);
}

/** What a host does to its store with its own credentials, by Redis's own client. */
async function redis(host: Host, command: string): Promise<string> {
  const [, user = '', password = '', address = ''] =
    /^store: rediss:\/\/([^:]+):([^@]+)@([\d.]+):7651$/m.exec(await host.guest.ok('cat /etc/warren/config.yaml')) ?? [];
  const tls = `--tls --cacert ${pki}/ca.crt --cert ${pki}/node.crt --key ${pki}/node.key`;
  const { stdout, stderr } = await host.guest.run(`redis-cli ${tls} -h ${address} -p 7651 --user ${user} ${command}`, {
    env: { REDISCLI_AUTH: password },
  });
  return `${stdout}${stderr}`.trim();
}

test('init, two joins, and everybody reaches everybody, encrypted', async () => {
  const began = performance.now();
  const init = await a().guest.ok('warren init --advertise eth0');
  assert.match(init, /warren join - 10\.77\.0\.1 <<< warren1-worker-/);
  await a().startAgent();
  assert.ok(init.includes(await token()), 'init shows the token that counts');
  const worker = await join(b(), await token());
  assert.equal(worker.code, 0, worker.stderr + worker.stdout);
  const manager = await join(c(), await token('manager'), 'a:7650');
  assert.equal(manager.code, 0, manager.stderr + manager.stdout);
  await Promise.all([b().startAgent(), c().startAgent()]);
  const nodes = await b().json<NodeJson[]>('node ls');
  assert.deepEqual(
    nodes.map(({ name, role, address }) => [name, role, address]),
    [
      ['a', 'manager', '10.77.0.1'],
      ['b', 'worker', '10.77.0.2'],
      ['c', 'manager', '10.77.0.3'],
    ],
  );
  // A worker may make networks, as everybody with a root shell may.
  await b().json('network create app --subnet 10.9.0.0/16');
  const members = hosts.slice(0, 3);
  const endpoints = await Promise.all(members.map((host) => host.attach('app', `${host.name}1`)));
  for (const host of members)
    for (const { addresses } of endpoints as EndpointJson[]) {
      const ping = await host.inside(`${host.name}1`, `ping -n -c1 -W2 ${addresses[0]}`);
      assert.equal(ping.code, 0, `${host.name} → ${addresses[0]}: ${ping.stdout}`);
    }
  console.log(`${((performance.now() - began) / 1000).toFixed(1)} s from nothing to a full mesh of three`);
});

test('again is no change; the token of another cluster is a conflict', async () => {
  const before = await b().guest.ok('cat /etc/warren/config.yaml');
  assert.equal((await join(b(), await token())).code, 0);
  assert.equal(await b().guest.ok('cat /etc/warren/config.yaml'), before);
  const [, role, id, , secret] = (await token()).split('-');
  const foreign = ['warren1', role, id, 'a'.repeat(52), secret].join('-');
  const conflict = await join(b(), foreign);
  assert.deepEqual([conflict.code, JSON.parse(conflict.stdout).error.code], [4, 'already_initialized']);
});

test('secrets are where they belong: 0600 files, and neither in the store nor a log nor an argument', async () => {
  const secret = (await token()).split('-').at(-1) ?? '';
  const files = await a().guest.ok(
    `find /var/lib/warren -name '*.key' -o -name password -o -name '*.acl' -o -name '*.conf' | xargs stat -c %a`,
  );
  assert.deepEqual([...new Set(files.trim().split('\n'))], ['600']);
  assert.equal((await b().guest.run(`test -e ${pki}/ca.key`)).code, 1, 'a worker has not the CA’s key');
  assert.equal((await c().guest.run(`test -e ${pki}/ca.key`)).code, 0, 'a manager has');
  const text = await redis(a(), '--scan');
  const key = text.split('\n').find((line) => line.endsWith(':tokens'));
  assert.ok(key);
  assert.ok(!(await redis(a(), `hgetall '${key}'`)).includes(secret));
  for (const host of [a(), b()]) {
    const said = await host.guest.ok(`cat /lab/${host.name}.agent; ps axww -o args`);
    assert.ok(!said.includes(secret), host.name);
  }
});

test('tokens that are forged, of another CA, rotated, used up or over are refused', async () => {
  const refused = async (text: string, code: string, words: RegExp): Promise<void> => {
    const { code: exit, stdout } = await join(d(), text);
    const { error } = JSON.parse(stdout) as { error: { code: string; message: string } };
    assert.deepEqual([exit, error.code], [4, code], stdout);
    assert.match(error.message, words);
    const left = await d().guest.run('ls /etc/warren/config.yaml /var/lib/warren/pki 2>/dev/null');
    assert.equal(left.stdout, '', 'nothing is left of a join that failed');
  };
  const good = await token();
  const [, role, id, fingerprint, secret = ''] = good.split('-');
  await refused(
    ['warren1', role, id, fingerprint, secret.replace(/./g, 'a')].join('-'),
    'token_refused',
    /not one of this/,
  );
  await refused(['warren1', 'manager', id, fingerprint, secret].join('-'), 'token_refused', /not one of this/);
  await refused(['warren1', role, id, 'a'.repeat(52), secret].join('-'), 'wrong_ca', /another CA/);
  const next = await token('worker --rotate');
  assert.notEqual(next, good);
  await refused(good, 'token_refused', /rotated/);
  const brief = await token('worker --expires 1s');
  await sleep(1100); // it is time itself that is waited for
  await refused(brief, 'token_refused', /expired/);
  const once = await token('worker --uses 1');
  assert.equal((await join(d(), once)).code, 0);
  await d().guest.ok('warren leave --force');
  await refused(once, 'token_refused', /used up/);
});

test('whoever has left, or failed to join, is no user of the store any more', async () => {
  const users = () => redis(a(), 'acl users');
  const before = await users();
  const taken = await join(d(), await token(), 'a', '--name b');
  assert.deepEqual([taken.code, JSON.parse(taken.stdout).error.code], [4, 'name_taken'], taken.stdout);
  assert.equal(await users(), before);
  assert.equal((await join(d(), await token())).code, 0);
  assert.notEqual(await users(), before);
  const left = await d().guest.ok('warren leave');
  assert.equal(await users(), before, left);
});

test('a worker’s credentials are good for a worker’s work only; without a certificate there is not even a greeting', async () => {
  const key = (await redis(a(), '--scan')).split('\n').find((line) => line.endsWith(':tokens'));
  const attempts = [
    ...[
      'flushall',
      'flushdb',
      'swapdb 0 1',
      "keys 'warren*'",
      'config get requirepass',
      'acl list',
      'acl setuser x on nopass',
    ],
    ...[
      'monitor',
      'shutdown nosave',
      'debug sleep 0',
      'replicaof 10.77.0.4 6379',
      'save',
      'script flush',
      'client list',
    ],
    ...[`hgetall '${key}'`, `del '${key}'`, `eval 'return redis.call("HGETALL", KEYS[1])' 1 '${key}'`, 'set other 1'],
  ];
  for (const attempt of attempts) assert.match(await redis(b(), attempt), /NOPERM|not allowed/, attempt);
  assert.match(await redis(b(), "hget 'warren:{default}:meta' name"), /default/);
  const bare = await d().guest.run(
    'redis-cli --tls --insecure -h 10.77.0.1 -p 7651 ping; redis-cli -h 10.77.0.1 -p 7651 ping',
  );
  assert.doesNotMatch(bare.stdout, /PONG/);
});

test('the store outlives the agent; killed, it is back with everything in it', async () => {
  await a().killAgent();
  assert.match(await redis(b(), 'ping'), /PONG/);
  await a().startAgent();
  await a().guest.ok('kill -9 $(pidof redis-server)');
  await waitFor(async () => (await redis(b(), 'ping')) === 'PONG', { what: 'the store to be back' });
  await b().settled();
  assert.equal((await b().json<EndpointJson[]>('endpoint ls')).length, 3);
});

test('without a daemon a pass starts the store that does not run', async () => {
  await a().stopAgent();
  await a().guest.ok('kill -9 $(pidof redis-server)');
  const { code, stderr } = await a().warren('sync --once --json');
  assert.equal(code, 0, stderr);
  assert.match(await redis(b(), 'ping'), /PONG/);
  await a().startAgent();
  await b().settled();
});

test('a host whose certificate expired while it was off comes back by its key', async () => {
  await b().stopAgent();
  const node = (await a().json<NodeJson[]>('node ls')).find(({ name }) => name === 'b')?.id ?? '';
  const key = await b().guest.ok(`cat ${pki}/node.key`);
  const ca = { certificate: await a().guest.ok(`cat ${pki}/ca.crt`), key: await a().guest.ok(`cat ${pki}/ca.key`) };
  await b().guest.write(`${pki}/node.crt`, await expired(ca, key, node), '600');
  const off = await b().guest.ok(`cat ${pki}/node.crt`);
  assert.match(await redis(b(), 'ping'), /expired|Could not|closed|reset/i);
  const { code, stderr } = await b().warren('sync --once --json');
  assert.equal(code, 0, stderr);
  assert.equal(await redis(b(), 'ping'), 'PONG', 'without a daemon');
  await b().guest.write(`${pki}/node.crt`, off, '600');
  await b().startAgent();
  assert.equal(await redis(b(), 'ping'), 'PONG');
  assert.match(await b().guest.ok('cat /lab/b.agent'), /certificate is renewed/);
});

const anyIdentity = 'A'.repeat(43);

/** A worker may write what agents write, also of others. */
function lie(id: string, was: string, is: string): Promise<string> {
  const text = `local d = redis.call("HGET", KEYS[1], ARGV[1]):gsub("${was}", "${is}")
    redis.call("HSET", KEYS[1], ARGV[1], d)
    redis.call("XADD", KEYS[2], redis.call("HINCRBY", KEYS[3], "rev", 1) .. "-1", "kind", "node", "id", ARGV[1], "value", d)`;
  const keys = ['nodes', 'changes', 'meta'].map((key) => `'warren:{default}:${key}'`);
  return redis(b(), `eval '${text}' 3 ${keys.join(' ')} ${id}`);
}

test('identities are certified; at first sight nobody else is believed, whatever the store says', async () => {
  const all = await b().json<NodeJson[]>('node ls');
  assert.deepEqual(
    all.map(({ name, encryption }) => [name, encryption.trust]),
    [
      ['a', 'certified'],
      ['b', 'certified'],
      ['c', 'certified'],
    ],
  );
  const id = all.find(({ name }) => name === 'c')?.id ?? '';
  const seen = async () =>
    (await b().ask<Status>('status')).result?.encryption.peers.find((each) => each.id === id) ?? assert.fail('no c');
  await b().stopAgent();
  await b().guest.ok('rm /var/lib/warren/identities.json');
  await c().stopAgent(); // or it would tell the truth at once
  await lie(id, '\\"statement\\":\\"[%w_-]+\\",', '');
  await b().startAgent();
  await waitFor(async () => (await seen()).trouble === 'identity_uncertified', { what: 'b to refuse c' });
  assert.equal((await seen()).trust, null);
  assert.equal((await b().inside('b1', 'ping -n -c1 -W2 a1.app')).code, 0, 'others are not concerned');
  await c().startAgent(); // it tells again what the CA said of it
  await waitFor(async () => (await seen()).trust === 'certified', { what: 'the truth to be back' });
  await waitFor(async () => (await b().inside('b1', 'ping -n -c1 -W1 c1.app')).code === 0, { what: 'b to reach c' });
});

test('what a worker writes of another host is put right at once, by that host', async () => {
  const c = async () => (await a().json<NodeJson[]>('node ls')).find(({ name }) => name === 'c') ?? assert.fail();
  const { id } = await c();
  const before = await audit();
  await lie(id, '10.77.0.3', '10.77.0.99');
  await waitFor(async () => (await audit()) > before, { what: 'c to tell the truth', timeout: 2000 });
  assert.equal((await c()).address, '10.77.0.3');
  assert.equal((await b().inside('b1', 'ping -n -c1 -W2 c1.app')).code, 0);
});

/** How often host c has told anew what it is. */
async function audit(): Promise<number> {
  const entries = await a().json<{ action: string; by: string }[]>('logs --audit -n 500');
  return entries.filter(({ action, by }) => action === 'refresh-node' && by.endsWith('@c')).length;
}

test('a worker that writes itself down as a manager is none to the CA', async () => {
  const id = (await a().json<NodeJson[]>('node ls')).find(({ name }) => name === 'b')?.id ?? '';
  const role = async (): Promise<unknown> =>
    (await a().json<NodeJson[]>('node ls')).find(({ name }) => name === 'b')?.role;
  await lie(id, 'worker', 'manager');
  await waitFor(async () => (await role()) === 'manager', { what: 'a to believe the store' });
  const [certificate, key] = await Promise.all(['crt', 'key'].map((end) => b().guest.ok(`cat ${pki}/node.${end}`)));
  const { request } = await newRequest(id, key);
  await b().guest.write(
    '/tmp/ask',
    JSON.stringify({ certificate, request, identity: anyIdentity, addresses: ['10.77.0.2'] }),
  );
  const answer = await b().guest.ok('curl -sk --tlsv1.3 --data-binary @/tmp/ask https://10.77.0.1:7650/v1/renew');
  const { certificate: renewed } = JSON.parse(answer) as { certificate: string };
  assert.equal(new X509Certificate(renewed).subject, `O=worker\nCN=${id}`);
  await lie(id, 'manager', 'worker');
  await waitFor(async () => (await role()) === 'worker', { what: 'the truth to be back' });
});

test('the store and the manager show their new certificate as soon as they have it', async () => {
  const shown = async (port: number): Promise<string> => {
    const tls = `-cert ${pki}/node.crt -key ${pki}/node.key -connect 10.77.0.1:${port}`;
    return b().guest.ok(`openssl s_client ${tls} </dev/null 2>/dev/null | openssl x509 -fingerprint -noout`);
  };
  const files = ['ca.crt', 'ca.key', 'node.crt', 'node.key'].map((name) => a().guest.ok(`cat ${pki}/${name}`));
  const [certificate = '', caKey = '', mine = '', key = ''] = await Promise.all(files);
  const node = new X509Certificate(mine).subject.replace(/^.*CN=/s, '');
  const before = await shown(7651);
  await a().guest.write(`${pki}/node.crt`, await expired({ certificate, key: caKey }, key, node), '600');
  await a().stopAgent();
  await a().startAgent();
  const renewed = await a().guest.ok(`openssl x509 -fingerprint -noout -in ${pki}/node.crt`);
  assert.notEqual(renewed, before);
  await waitFor(async () => (await shown(7651)) === renewed, { what: 'the store to show it' });
  assert.equal(await shown(7650), renewed);
});

test('without that key nobody comes back by a member’s certificate', async () => {
  const stolen = await b().guest.ok(`cat ${pki}/node.crt`);
  const node = new X509Certificate(stolen).subject.replace(/^.*CN=/s, '');
  const { request } = await newRequest(node);
  await d().guest.write(
    '/tmp/ask',
    JSON.stringify({ certificate: stolen, request, identity: anyIdentity, addresses: ['10.77.0.4'] }),
  );
  const answer = await d().guest.ok(
    'curl -sk --tlsv1.3 --data-binary @/tmp/ask -w "%{http_code}" https://10.77.0.1:7650/v1/renew',
  );
  assert.match(answer, /no member’s certificate.*403$/s);
});

test('a host that is removed can use the store no more', async () => {
  await c().stopAgent();
  await a().guest.ok('warren node rm c --force');
  assert.match(await redis(c(), 'ping'), /WRONGPASS|NOAUTH/);
});

test('a host that a manager does not reach at its address, or on its ports, is told so before anything is changed', async () => {
  const text = await token();
  await d().guest.ok('warren leave --force 2>/dev/null; ip addr add 10.0.2.15/24 dev eth0');
  // As every machine of Vagrant has one, which leads to none of the others.
  const nat = await join(d(), text, 'a', '--advertise 10.0.2.15');
  assert.deepEqual([nat.code, JSON.parse(nat.stdout).error.code], [4, 'address_unreachable'], nat.stdout);
  await d().guest.ok('nft add table inet wall; nft add chain inet wall in "{ type filter hook input priority -10; }"');
  await d().guest.ok('nft add rule inet wall in udp dport "{ 4500, 4790 }" drop');
  const walled = await join(d(), text);
  assert.deepEqual([walled.code, JSON.parse(walled.stdout).error.code], [4, 'address_unreachable'], walled.stdout);
  assert.equal((await d().guest.run('ls /etc/warren/config.yaml')).code, 2, 'nothing is left of it');
  await d().guest.ok('nft flush chain inet wall in; nft add rule inet wall in udp dport 4790 drop');
  const plain = await join(d(), text);
  assert.deepEqual([plain.code, JSON.parse(plain.stdout).silentPorts], [0, [4790]], plain.stdout);
  await d().guest.ok('warren leave --force; nft delete table inet wall; ip addr del 10.0.2.15/24 dev eth0');
});

test('a clone of a host is refused while the host lives; whoever was stopped for long finds himself replaced', async () => {
  // d as b's disk would make it on another machine.
  const files = 'etc/warren/config.yaml var/lib/warren';
  await b().guest.ok(`tar -C / -cf /lab/clone.tar ${files}`);
  await d().guest.ok(
    'warren leave --force 2>/dev/null; tar -C / -xf /lab/clone.tar && sed -i s/10.77.0.2/10.77.0.4/ /etc/warren/config.yaml',
  );
  const sync = await d().warren('sync --once --json');
  assert.deepEqual([sync.code, JSON.parse(sync.stdout).error.code], [4, 'identity_in_use']);
  const pid = (await b().settled()).agent.pid;
  await b().guest.ok(`kill -STOP ${pid}`);
  await d().startAgent();
  await b().guest.ok(`kill -CONT ${pid}`);
  assert.equal((await b().agentEnd()).code, 4);
  assert.match(await b().guest.ok('tail -n 3 /lab/b.agent'), /newer agent of this node has taken over/);
  await d().stopAgent();
  await b().startAgent();
});

/** As the CA would have signed it for that key, a year ago. */
async function expired(ca: KeyPair, key: string, node: string): Promise<string> {
  const { request } = await newRequest(node, key);
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const certificate = await X509CertificateGenerator.create({
    subject: [{ O: ['worker'] }, { CN: [node] }],
    issuer: new X509(ca.certificate).subject,
    notBefore: new Date(Date.now() - 365 * 86_400_000),
    notAfter: new Date(Date.now() - 275 * 86_400_000),
    publicKey: new Pkcs10CertificateRequest(request).publicKey,
    signingKey: await webcrypto.subtle.importKey('pkcs8', derOf(ca.key), algorithm, false, ['sign']),
    signingAlgorithm: algorithm,
  });
  return `${certificate.toString('pem')}\n`;
}
