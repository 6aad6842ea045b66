import { Cluster, type Status } from '../test/support/cluster.ts';
import { waitFor } from '../test/support/wait.ts';
import type { Bench } from './place.ts';
import { root } from './place.ts';

/** A host that was started anew and has many peers: from its agent being in the cluster to keys with all of them, both ways. */
export const peers: Bench = async (_, report, quick) => {
  const count = quick ? 20 : 100;
  await using cluster = await Cluster.start({ guests: 2 });
  const { a, b } = cluster;
  await a.json('network create app --subnet 10.9.0.0/24');
  await b.stopAgent();
  await b.startAgent('--encap esp');
  await b.attach('app', 'b1');
  const driver = a.guest.spawn(
    `cd ${root} && exec node --import tsx bench/fake-peers.ts ${Cluster.store} app ${count}`,
  );
  const allUp = async (): Promise<boolean> => {
    const { result } = await b.ask<Status>('status');
    return result?.encryption.peers.filter(({ up, rotating }) => up && rotating === null).length === count;
  };
  await waitFor(allUp, { what: 'the first keys', timeout: 120_000 });
  const values: number[] = [];
  for (let i = 0; i < (quick ? 1 : 5); i++) {
    await b.killAgent();
    // As after a boot: nothing of what was agreed is left.
    await b.guest.ok('ip xfrm state flush; ip xfrm policy flush; rm -rf /run/warren/keys');
    await b.startAgent('--encap esp');
    await waitFor(allUp, { what: 'keys with all peers', timeout: 60_000, every: 20 });
    // By the host's own clock: from its agent's first line in the cluster to the last pair.
    const log = await b.guest.ok(
      `grep -E '"in the cluster"|"encrypted with a node"' /lab/b.agent | tail -${count + 1} | grep -o '"timestamp":"[^"]*"'`,
    );
    const times = log
      .trim()
      .split('\n')
      .map((line) => Date.parse(line.slice(13, -1)));
    values.push((times.at(-1) ?? 0) - (times[0] ?? 0));
  }
  report({
    bench: 'keys after a boot',
    what: `${count} peers, ${2 * count} SAs`,
    unit: 'ms',
    values,
    note: 'in the lab',
  });
  driver.kill('SIGKILL');
};
