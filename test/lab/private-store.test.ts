/**
 * A store of the user's own, which only its owner's CA vouches for: the first host is told that CA, the others learn it as they
 * join.
 *
 *   a  Redis (TLS, password), manager      b  worker
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { NodeJson } from '../../src/control/present.ts';
import { Host } from '../support/cluster.ts';
import { waitFor } from '../support/wait.ts';
import { Lab } from './lab.ts';

let lab: Lab;
let [a, b]: Host[] = [];
const hosts = () => [a ?? assert.fail(), b ?? assert.fail()] as const;
const secret = 'a-word-of-the-owner';
const url = `rediss://default:${secret}@10.77.0.1:6380`;

before(async () => {
  lab = await Lab.start({ guests: 2 });
  [a, b] = lab.all.map((guest) => new Host(guest));
  const [first] = hosts();
  await first.guest.ok(`cd /run && openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=owner -days 2 &&
    openssl req -newkey rsa:2048 -nodes -keyout r.key -out r.csr -subj /CN=redis && echo subjectAltName=IP:10.77.0.1 >ext &&
    openssl x509 -req -in r.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile ext -days 2 -out r.crt &&
    redis-server --daemonize yes --port 0 --tls-port 6380 --bind 10.77.0.1 --requirepass ${secret} --tls-auth-clients no \
      --tls-cert-file r.crt --tls-key-file r.key --tls-ca-cert-file ca.crt --save '' --dir /run`);
});
after(() => lab?.stop());

test('a CA that nobody has named is not believed', async () => {
  const [a] = hosts();
  const { code, stderr } = await a.warren('init --store - --advertise eth0 --json', { WARREN_STORE: url });
  assert.notEqual(code, 0);
  assert.doesNotMatch(stderr, new RegExp(secret));
});

test('the first host names it, the second learns it with its token, and both are in', async () => {
  const [a, b] = hosts();
  await a.guest.write('/etc/warren/config.yaml', 'storeTls: {ca: /run/ca.crt}\n', '600');
  await a.guest.run('true');
  const made = await a.warren('init --advertise eth0', { WARREN_STORE: url });
  assert.equal(made.code, 0, made.stderr);
  await a.startAgent();
  const { token } = await a.json<{ token: string }>('token worker');
  await b.guest.write('/tmp/token', token, '600');
  await b.guest.ok('warren join - a </tmp/token');
  await b.startAgent();
  assert.match(await b.guest.ok('cat /etc/warren/config.yaml'), /ca: \/var\/lib\/warren\/pki\/store-ca\.crt/);
  assert.equal(await b.guest.ok('stat -c %a /var/lib/warren/pki/store-ca.crt'), '600\n');
  await waitFor(
    async () => (await b.json<NodeJson[]>('node ls')).filter(({ status }) => status === 'up').length === 2,
    {
      what: 'both to be up',
    },
  );
  await a.json('network create app --subnet 10.9.0.0/16');
  const { addresses } = await a.attach('app', 'a1');
  await b.attach('app', 'b1');
  assert.equal((await b.inside('b1', `ping -n -c1 -W2 ${addresses[0]}`)).code, 0);
});
