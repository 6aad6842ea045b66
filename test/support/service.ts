/** Servers and clients of services in a lab, and what they say. */
import type { BackendJson } from '../../src/control/present-service.ts';
import type { Job } from '../lab/job.ts';
import { project } from '../lab/tools.ts';
import { Cluster, type Host } from './cluster.ts';
import { waitFor } from './wait.ts';

export type Answers = { servers: Record<string, number>; seen: string[]; failed: string[] };

/** Starts a server in a namespace; returns when it listens. */
export async function serve(host: Host, netns: string, ...ports: number[]): Promise<Job> {
  let ready = false;
  const job = host.guest.spawn(
    `exec ip netns exec ${netns} python3 ${project}/test/support/server.py ${netns} ${ports.join(' ')}`,
    {
      onStdout: () => {
        ready = true;
      },
    },
  );
  await waitFor(() => ready, { what: `the server in ${netns}` });
  return job;
}

/** Asks from a namespace ('' = the host's), each time from another port. */
export function askFrom(
  host: Host,
  netns: string,
  address: string,
  port: number,
  proto: 'tcp' | 'udp',
  count: number,
): Promise<Answers> {
  const enter = netns === '' ? '' : `ip netns exec ${netns} `;
  return host.guest.json<Answers>(
    `${enter}python3 ${project}/test/support/client.py ${address} ${port} ${proto} ${count}`,
  );
}

/** Waits until that many backends get connections, as a host sees it. */
export async function serving(host: Host, service: string, count: number): Promise<readonly BackendJson[]> {
  return waitFor(
    async () => {
      const { result = [] } = await host.ask<BackendJson[]>('service.backends', { service });
      return result.filter(({ weight }) => weight > 0).length === count && result;
    },
    { what: `${count} backends of ${service} on ${host.name}` },
  );
}

export type Load = { count: number; failed: string[]; slow: number; seconds: number; outages: [number, number][] };

/** New connections from a namespace, one after the other, while something happens. */
export async function underLoad(
  host: Host,
  netns: string,
  address: string,
  port: number,
  happens: () => Promise<void>,
  seconds = 5,
): Promise<Load> {
  const output: string[] = [];
  const job = host.guest.spawn(
    `exec ip netns exec ${netns} python3 ${project}/test/support/load.py ${address} ${port} ${seconds}`,
    { onStdout: (data) => output.push(data.toString()) },
  );
  try {
    await happens();
  } finally {
    job.end();
    await job.done;
  }
  return JSON.parse(output.join('')) as Load;
}

/** Services s0, s1 … with that many backends each, on a host nobody has, until the job ends. */
export async function manyServices(host: Host, network: string, services: number, backends: number): Promise<Job> {
  const program = `exec node --import tsx test/support/many-services.ts ${Cluster.store} ${network} ${services} ${backends}`;
  const job = host.guest.spawn(`cd ${project} && ${program}`, { env: { NODE_OPTIONS: '' } });
  const written = () => {
    if (job.ended) throw new Error(job.stderr);
    return job.stdout.includes('written');
  };
  await waitFor(written, { what: 'many services', timeout: 120_000 });
  return job;
}
