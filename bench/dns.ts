import { setTimeout as sleep } from 'node:timers/promises';
import { attachTo, createApp } from './attach.ts';
import { type Bench, type Host, scratch, write } from './place.ts';
import { Floor } from './rivals.ts';

const endpoints = 20;
const port = { warren: 53, dnsmasq: 5353 } as const;
const gateway = '10.9.0.1';

/** Questions that an endpoint asks at its gateway, 100 at a time, of warren and of a dnsmasq that listens in the same place. */
export const names: Bench = async ({ a }, report, quick) => {
  const floor = new Floor(a);
  const client = await a.startAgent();
  await a.said('in the cluster');
  await createApp(client);
  await floor.run(`netns w ${endpoints}`);
  const records: string[] = [];
  for (let n = 0; n < endpoints; n++) {
    const { addresses } = (await attachTo(client, `w${n}`, { name: `e${n}` })) as unknown as { addresses: string[] };
    records.push(`--host-record=e${n}.app.warren,${addresses.join(',')}`);
  }
  const questions = Array.from({ length: endpoints }, (_, n) => `e${n}.app.warren A\ne${n}.app.warren AAAA\n`);
  const file = write(`${scratch}/questions`, questions.join(''));
  const options = ['--conf-file=/dev/null', '--user=root', '--pid-file=', '--no-daemon', '--no-resolv', '--no-hosts'];
  const rival = a.spawn(
    [
      ...['ip', 'netns', 'exec', 'warren-1048576', 'dnsmasq', ...options, `--port=${port.dnsmasq}`],
      ...['--bind-interfaces', `--listen-address=${gateway}`, '--cache-size=0', ...records],
    ],
    'ignore',
  );
  await sleep(500);
  // dnsmasq gives each connection a process and few questions: in TCP it is not compared.
  for (const [how, servers] of [
    ['udp', ['warren', 'dnsmasq']],
    ['tcp', ['warren']],
  ] as const) {
    const rates = new Map<string, number[]>(servers.map((server) => [server, []]));
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      for (const server of servers)
        rates.get(server)?.push(ask(a, ['-p', String(port[server]), '-m', how, '-d', file, '-l', quick ? '1' : '3']));
    }
    for (const [what, values] of rates) report({ bench: `names, ${how}`, what, unit: 'q/s', values });
  }
  rival.kill('SIGKILL');
  client.close();
  floor.stop();
};

/** Questions answered in a second. One that is lost is a failure. */
function ask(host: Host, options: readonly string[]): number {
  const told = host.run(['ip', 'netns', 'exec', 'w0', 'dnsperf', '-s', gateway, '-q', '100', '-c', '4', ...options]);
  const [, lost] = /Queries lost:\s+(\d+)/.exec(told) ?? [];
  const [, rate] = /Queries per second:\s+([\d.]+)/.exec(told) ?? [];
  if (lost !== '0' || !rate) throw new Error(told);
  return Number(rate);
}
