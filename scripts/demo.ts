/**
 * The main job in a minute: three hosts, one store, one overlay, containers on every host that reach each other.
 * Prints what it does, what went over the wire and how long each step took; nothing that it did not see.
 *
 *   npm run demo              leaves nothing behind
 *   npm run demo -- --keep    leaves it up until Ctrl-C
 */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { styleText } from 'node:util';
import type { EndpointJson, NetworkJson } from '../src/control/present.ts';
import type { ServiceJson } from '../src/control/present-service.ts';
import { serve } from '../test/lab/daemon.ts';
import { Cluster } from '../test/support/cluster.ts';
import { askFrom, serve as serveIn, serving } from '../test/support/service.ts';
import { waitFor } from '../test/support/wait.ts';

const keep = process.argv.includes('--keep');
const bold = (text: string) => (process.stdout.isTTY ? styleText('bold', text) : text);
const say = (text: string) => process.stdout.write(`${text}\n`);

/** One line per step: what, the outcome in a few words, how long. */
async function step<T>(what: string, work: () => Promise<T>, outcome: (result: T) => string): Promise<T> {
  const began = performance.now();
  const result = await work();
  say(`${bold(what)}\n    ${outcome(result)}  (${Math.round(performance.now() - began)} ms)`);
  return result;
}

let cluster: Cluster | undefined;
try {
  const made = await step(
    'three hosts, each with its own Linux kernel (User-Mode Linux), and a Redis on the first',
    () => Cluster.boot(),
    ({ lab }) => `up: ${lab.all.map((guest) => `${guest.name} ${guest.address()}`).join(', ')}`,
  );
  cluster = made;
  await step(
    `on each: warren init --store ${Cluster.store} --advertise eth0; warren agent`,
    async () => {
      for (const host of made.hosts) await host.init(`--store ${Cluster.store} --advertise eth0`);
      await Promise.all(made.hosts.map((host) => host.startAgent()));
      return made.b.guest.ok('warren node ls');
    },
    (list) => `\n${list}`,
  );
  const network = await step<NetworkJson>(
    'on a: warren network create app      (encrypted between hosts, as nobody said otherwise)',
    () => made.a.json<NetworkJson>('network create app'),
    ({ subnets, mtu, vni }) => `vni ${vni}, ${subnets.join(' and ')}, MTU ${mtu}`,
  );

  const endpoints: { host: (typeof made.hosts)[number]; netns: string; endpoint: EndpointJson }[] = [];
  for (const n of [1, 2]) {
    for (const host of made.hosts) {
      const netns = `${host.name}${n}`;
      const endpoint = await step<EndpointJson>(
        `on ${host.name}: ip netns add ${netns}; warren attach app --netns ${netns}`,
        () => host.attach('app', netns),
        ({ addresses, ifname }) => `${ifname} has ${addresses.join(' and ')}`,
      );
      endpoints.push({ host, netns, endpoint });
    }
  }

  const capture = join(made.lab.share, 'demo.pcap');
  await made.lab.capture(capture);
  await step(
    'every container pings every other, IPv4 and IPv6',
    async () => {
      const targets = endpoints.flatMap(({ endpoint }) => endpoint.addresses);
      const script = `n=0; for ip in ${targets.join(' ')}; do ping -n -c1 -W2 $ip >/dev/null && n=$((n+1)); done; echo $n`;
      const answers = await Promise.all(endpoints.map(({ host, netns }) => host.inside(netns, `sh -c '${script}'`)));
      return {
        sent: targets.length * endpoints.length,
        answered: answers.reduce((sum, r) => sum + Number(r.stdout), 0),
      };
    },
    ({ sent, answered }) => `${answered} of ${sent} answered`,
  );
  await made.lab.net('pcap off');
  const seen = (filter: string) =>
    execFileSync('tcpdump', ['-nr', capture, filter], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .split('\n')
      .filter(Boolean).length;
  say(`${bold('on the wire between the hosts, meanwhile')}
    ESP ${seen('ip proto 50')} packets, VXLAN in clear ${seen('udp port 4789 or udp port 4790')}`);
  say(`\n${await made.b.guest.ok('warren node ls')}`);

  const web = await step<ServiceJson>(
    'a service: warren service create web --network app --port 80:8080; a2 and b2 are its backends, on two hosts',
    async () => {
      const service = await made.a.json<ServiceJson>('service create web --network app --port 80:8080');
      for (const host of [made.a, made.b]) {
        await serveIn(host, `${host.name}2`, 8080);
        await made.a.json(`service add web ${host.name}2`);
      }
      await serving(made.c, 'web', 2);
      return service;
    },
    ({ vips }) => `virtual IPs ${vips.join(' and ')}`,
  );
  await step(
    'c1 asks its resolver for names: b2 is a container on another host, web the service, tasks.web its backends',
    async () => {
      const server = endpoints.find(({ netns }) => netns === 'c1')?.endpoint.dns.nameservers[0];
      const dig = async (name: string) =>
        `${name} ${(await made.c.inside('c1', `dig +short @${server} ${name}.app.warren A`)).stdout.trim().replaceAll('\n', ', ')}`;
      return Promise.all(['b2', 'web', 'tasks.web'].map(dig));
    },
    (lines) => lines.join('; '),
  );
  await step(
    'c1 calls the virtual IPs twenty times each, and each server says whom it saw',
    async () => {
      const answers = await Promise.all(web.vips.map((vip) => askFrom(made.c, 'c1', vip, 80, 'tcp', 20)));
      return answers.map(({ servers, seen, failed }) => {
        const spread = Object.entries(servers).map(([name, count]) => `${name} answered ${count}`);
        return `${spread.join(', ')}, failed ${failed.length}; the servers saw ${seen.join(', ')}`;
      });
    },
    (lines) => lines.join('\n    '),
  );

  await step(
    'a container leaves: warren detach c2',
    async () => {
      const c2 = endpoints.find(({ netns }) => netns === 'c2')?.endpoint.mac ?? '';
      await made.c.json('detach c2');
      const fdb = () => made.a.guest.ok(`bridge -n warren-${network.vni} fdb show dev vx0`);
      return waitFor(async () => !(await fdb()).includes(c2), { what: 'host a to forget it' });
    },
    () => 'host a sends it nothing any more',
  );
  await step(
    'new keys with all hosts: warren rekey, while a1 pings b1 five hundred times a second',
    async () => {
      const b1 = endpoints.find(({ netns }) => netns === 'b1')?.endpoint.addresses[0];
      const ping = made.a.guest.spawn(`ip netns exec a1 ping -n -q -i 0.002 -c 1000 -W2 ${b1}`);
      const table = await made.a.guest.ok('warren rekey');
      return `${table}    ${/^.*packets transmitted.*$/m.exec((await ping.done).stdout)?.[0]}`;
    },
    (text) => `\n${text}`,
  );
  await step(
    'the agent on b is killed (kill -9) while b1 pings a1 a hundred times a second',
    async () => {
      const a1 = endpoints.find(({ netns }) => netns === 'a1')?.endpoint.addresses[0];
      const ping = made.b.guest.spawn(`ip netns exec b1 ping -n -q -i 0.01 -c 300 -W2 ${a1}`);
      await made.b.killAgent();
      await made.b.startAgent();
      return (await ping.done).stdout;
    },
    (text) => /^.*packets transmitted.*$/m.exec(text)?.[0] ?? text,
  );
  say(`\n${await made.a.guest.ok('warren endpoint ls')}`);
  if (keep) {
    say(`${bold('It stays up while this runs.')} In another terminal:
    npm run lab -- in a                          a shell on host a (or b, c)
    npm run lab -- in a ip netns exec a1 bash    a shell in container a1
    npm run lab -- down                          removes all of it, as Ctrl-C does here`);
    await serve(made.lab);
    await new Promise(() => {}); // `down` or a signal ends the process, and all of it
  }
} finally {
  await cluster?.stop();
}
say(bold('nothing is left: no namespace, no link, no process, no file'));
