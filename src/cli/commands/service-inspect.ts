import type { ServiceJson } from '../../control/present-service.ts';
import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { fields } from '../table.ts';

export default command({
  options: (yargs) =>
    yargs.positional('service', { type: 'string', demandOption: true, describe: 'name, NETWORK/NAME or id' }),
  run: async (args) => {
    show(args, await ask<ServiceJson>(args, 'service.inspect', { service: args.service }), fields);
    return 0;
  },
});
