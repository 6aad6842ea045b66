import type { NetworkJson } from '../../control/present.ts';
import { ask, given, pairs } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { fields } from '../table.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('network', { type: 'string', demandOption: true, describe: 'name or id' })
      .option('subnet', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'a larger CIDR that contains the present one',
      })
      .option('label', { type: 'string', array: true, nargs: 1, describe: 'K=V' }),
  run: async (args) => {
    const labels = args.label && pairs(args.label);
    const params = { network: args.network, ...given({ subnets: args.subnet, labels }) };
    show(args, await ask<NetworkJson>(args, 'network.update', params), fields);
    return 0;
  },
});
