import type { ServiceJson } from '../../control/present-service.ts';
import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { serviceOptions, serviceParams } from '../service-options.ts';
import { fields } from '../table.ts';

export default command({
  options: (yargs) =>
    serviceOptions(yargs)
      .positional('service', { type: 'string', demandOption: true, describe: 'name, NETWORK/NAME or id' })
      .option('name', { type: 'string', describe: 'another name' }),
  run: async (args) => {
    const params = { service: args.service, ...serviceParams(args), ...given({ name: args.name }) };
    show(args, await ask<ServiceJson>(args, 'service.update', params), fields);
    return 0;
  },
});
