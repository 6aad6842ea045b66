import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { netnsPath } from './attach.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('endpoint', {
        type: 'string',
        demandOption: true,
        describe: 'name, NETWORK/NAME or id; with --netns or --pid a network',
      })
      .option('netns', {
        type: 'string',
        describe: 'what is attached to the network: name below /run/netns, or a path',
      })
      .option('pid', { type: 'number', describe: 'what is attached to the network: the namespace of this process' })
      .option('if-exists', { type: 'boolean', describe: 'fine when there is none' }),
  run: async (args) => {
    const byNetns = args.netns !== undefined || args.pid !== undefined;
    const which = byNetns ? { network: args.endpoint, netns: netnsPath(args) } : { endpoint: args.endpoint };
    const result = await ask<{ removed: string[] }>(args, 'endpoint.detach', {
      ...which,
      ...given({ ifExists: args.ifExists }),
    });
    show(args, result, ({ removed }) => removed.join('\n'));
    return 0;
  },
});
