import type { ClusterJson } from '../../control/limits.ts';
import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { fields } from '../table.ts';

export default command({
  options: (yargs) => yargs,
  run: async (args) => {
    show(args, await ask<ClusterJson>(args, 'cluster.inspect'), clusterText);
    return 0;
  },
});

export function clusterText({ count, limits, ...rest }: ClusterJson): string {
  const { nodes, ...bounded } = count;
  const most = (what: keyof typeof limits) => (limits[what] === null ? '' : ` of ${limits[what]}`);
  const counted = Object.entries(bounded).map(([what, n]) => [what, `${n}${most(what as keyof typeof limits)}`]);
  return fields({ ...rest, nodes, ...Object.fromEntries(counted) });
}
