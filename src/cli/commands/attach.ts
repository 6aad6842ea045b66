import { existsSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
import type { EndpointJson } from '../../control/present.ts';
import { WarrenError } from '../../model/error.ts';
import { ask, given, pairs } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { fields } from '../table.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('network', { type: 'string', demandOption: true, describe: 'name or id' })
      .option('netns', { type: 'string', describe: 'name below /run/netns, or a path' })
      .option('pid', { type: 'number', describe: 'the network namespace of this process' })
      .option('name', { type: 'string', describe: 'the endpoint’s name (default: the namespace’s)' })
      .option('ip', { type: 'string', array: true, nargs: 1, describe: 'this address; one per family' })
      .option('mac', { type: 'string', describe: 'this MAC address' })
      .option('ifname', { type: 'string', describe: 'the interface’s name (default: first free ethN)' })
      .option('default-route', {
        type: 'boolean',
        default: true,
        describe: 'a default route, where the namespace has none',
      })
      .option('service', { type: 'string', describe: 'join this service' })
      .option('weight', {
        type: 'number',
        describe: 'its share of the service, for schedulers with weights (default: 1)',
      })
      .option('label', { type: 'string', array: true, nargs: 1, describe: 'K=V' })
      .option('if-not-exists', { type: 'boolean', describe: 'fine when the namespace is attached to it already' }),
  run: async (args) => {
    const { network, name, ip, mac, ifname, defaultRoute, service, weight, label, ifNotExists } = args;
    const endpoint = await ask<EndpointJson>(args, 'endpoint.attach', {
      network,
      netns: netnsPath(args),
      ...given({ name, addresses: ip, mac, ifname, service, weight, ifNotExists }),
      defaultRoute,
      labels: pairs(label),
    });
    show(args, endpoint, fields);
    return 0;
  },
});

/** `--netns NAME|PATH` or `--pid PID` as an absolute path. */
export function netnsPath(args: { netns?: string | undefined; pid?: number | undefined }): string {
  if ((args.netns === undefined) === (args.pid === undefined)) {
    throw new WarrenError('invalid_input', 'which network namespace?', 'give either --netns NAME or --pid PID');
  }
  if (args.pid !== undefined) {
    if (!Number.isInteger(args.pid) || args.pid < 1)
      throw new WarrenError('invalid_input', '--pid must be a process id');
    if (!existsSync(`/proc/${args.pid}`))
      throw new WarrenError('pid_not_found', `no process ${args.pid}`, 'give the pid of a running process');
    return `/proc/${args.pid}/ns/net`;
  }
  const netns = args.netns as string;
  return isAbsolute(netns) || netns.includes('/') ? resolve(netns) : `/run/netns/${netns}`;
}
