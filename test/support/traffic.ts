/** Pings that run while something is broken, and whether each of them was answered. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Job } from '../lab/job.ts';
import type { Cluster } from './cluster.ts';
import { waitFor } from './wait.ts';

type End = { name: string; node: string; netns: string; addresses: readonly string[] };
export type Flow = { from: End; to: End; family: 4 | 6 };
export type Traffic = { job: Job; file: string; what: string };

let files = 0;

/** Starts them, seconds between two, and returns when each has had an answer. */
export async function traffic(cluster: Cluster, flows: readonly Flow[], interval = 0.02): Promise<Traffic[]> {
  const running = flows.map(({ from, to, family }) => {
    const host = cluster.hosts.find(({ name }) => name === from.node);
    const address = to.addresses.find((each) => each.includes(':') === (family === 6));
    const file = `ping${++files}`;
    const job = host?.guest.spawn(
      `exec nsenter --net=${from.netns} ping -n -i ${interval} ${address} >/lab/${file} 2>&1`,
    );
    assert.ok(job);
    return { job, file, what: `${from.name} → ${to.name} (IPv${family})` };
  });
  const begun = ({ file }: Traffic): boolean => /icmp_seq=1 ttl/.test(textOf(cluster, file));
  await waitFor(() => running.every(begun), { what: 'the first answers' });
  return running;
}

const onItsWay = 25;

/** Goes on until they are enough to say something. Every number from 1 on was answered, to the end: how many. */
export async function complete(cluster: Cluster, running: readonly Traffic[], least: number): Promise<number> {
  const last = (text: string) => Math.max(0, ...answeredIn(text));
  await waitFor(() => running.every(({ file }) => last(textOf(cluster, file)) >= least), {
    what: `${least} answers`,
    timeout: 60_000,
  });
  let all = 0;
  for (const { job, file, what } of running) {
    job.kill('SIGINT');
    await job.done;
    const text = textOf(cluster, file);
    const seen = answeredIn(text);
    const sent = Number(/(\d+) packets transmitted/.exec(text)?.[1]);
    // Its own exit would count what is on its way just then as lost.
    const missing = Array.from({ length: last(text) }, (_, i) => i + 1).filter((n) => !seen.has(n));
    assert.deepEqual(missing, [], `${what}: of ${sent}`);
    assert.ok(sent - last(text) <= onItsWay, `${what}: the last ${sent - last(text)} of ${sent}`);
    all += sent;
  }
  return all;
}

/** Numbers of the pings that had an answer. */
function answeredIn(text: string): Set<number> {
  return new Set([...text.matchAll(/icmp_seq=(\d+) ttl/g)].map(([, seq]) => Number(seq)));
}

function textOf(cluster: Cluster, file: string): string {
  return readFileSync(join(cluster.lab.share, file), 'utf8');
}
