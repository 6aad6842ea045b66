/** Faults of whole parts, while the steps of a round run. Each ends by itself, and what it takes with it is whole again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Cluster, Host } from './cluster.ts';
import { waitFor } from './wait.ts';

export type Outage = {
  /** For the log. */
  text: string;
  /** On these hosts a command may end with nobody to answer it. */
  hits: readonly Host[];
  run(): Promise<void>;
};

const redis =
  'redis-server --daemonize yes --bind 10.77.0.1 127.0.0.1 --protected-mode no --save "" --dir /run --appendonly yes --appendfsync always';

/** Every write is on disk before it is answered: what was acknowledged survives kill -9. */
export async function keepStore({ a }: Cluster): Promise<void> {
  await a.guest.ok('redis-cli config set appendfsync always; redis-cli config set appendonly yes');
  await waitFor(
    async () => /aof_enabled:1[\s\S]*aof_rewrite_in_progress:0/.test(await a.guest.ok('redis-cli info persistence')),
    { what: 'redis to write its first file' },
  );
}

export function outage(cluster: Cluster, next: (limit: number) => number): Outage | undefined {
  const { hosts, lab, a } = cluster;
  const pick = (): Host => hosts[next(hosts.length)] as Host;
  /** It begins anywhere in the round. */
  const later = next(400);
  const lasts = 300 + next(900);
  switch (next(8)) {
    case 0:
    case 1:
    case 2: {
      const hits = [...new Set(next(3) === 0 ? [pick(), pick()] : [pick()])];
      return {
        text: `after ${later} ms kill -9 of the agents of ${hits.map(({ name }) => name)}`,
        hits,
        run: async () => {
          await sleep(later);
          await Promise.all(hits.map((host) => host.killAgent().then(() => host.startAgent())));
        },
      };
    }
    case 3:
      return {
        text: `after ${later} ms kill -9 of redis`,
        hits: hosts,
        run: async () => {
          await sleep(later);
          await a.guest.ok(`kill -9 $(pidof redis-server); ${redis}`);
          await waitFor(() => a.guest.run('redis-cli ping | grep -q PONG').then(({ code }) => code === 0), {
            what: 'redis',
          });
        },
      };
    case 4:
      return {
        text: `after ${later} ms redis hangs for ${lasts} ms`,
        hits: hosts,
        run: async () => {
          await sleep(later);
          await a.guest.ok(`kill -STOP $(pidof redis-server); sleep ${lasts / 1000}; kill -CONT $(pidof redis-server)`);
        },
      };
    case 5: {
      const [one, other] = [pick(), pick()].sort((x, y) => x.name.localeCompare(y.name)) as [Host, Host];
      if (one === other) return undefined;
      return {
        text: `after ${later} ms ${one.name} and ${other.name} are cut off from each other for ${lasts} ms`,
        hits: one === a ? [other] : [],
        run: async () => {
          await sleep(later);
          await lab.net(`block ${one.name}.0 ${other.name}.0`);
          await sleep(lasts);
          await lab.net(`unblock ${one.name}.0 ${other.name}.0`);
        },
      };
    }
    default:
      return undefined;
  }
}
