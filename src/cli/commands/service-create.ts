import type { ServiceJson } from '../../control/present-service.ts';
import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { serviceOptions, serviceParams } from '../service-options.ts';
import { fields } from '../table.ts';

export default command({
  options: (yargs) =>
    serviceOptions(yargs)
      .positional('name', { type: 'string', demandOption: true, describe: 'one DNS label' })
      .option('network', { type: 'string', demandOption: true, describe: 'name or id' })
      .option('vip', { type: 'string', array: true, nargs: 1, describe: 'this virtual IP; one per family' })
      .option('if-not-exists', { type: 'boolean', describe: 'fine when it exists with the same parameters' }),
  run: async (args) => {
    const { name, network, vip, ifNotExists } = args;
    const params = { name, network, ...serviceParams(args), ...given({ vips: vip, ifNotExists }) };
    show(args, await ask<ServiceJson>(args, 'service.create', params), fields);
    return 0;
  },
});
