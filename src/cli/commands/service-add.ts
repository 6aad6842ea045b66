import type { ServiceJson } from '../../control/present-service.ts';
import { ask, given } from '../ask.ts';
import { backendsTable } from '../backends-table.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('service', { type: 'string', demandOption: true, describe: 'name, NETWORK/NAME or id' })
      .positional('endpoint', { type: 'string', demandOption: true, describe: 'name, NETWORK/NAME or id' })
      .option('weight', { type: 'number', describe: 'its share, for schedulers with weights (default: 1)' }),
  run: async (args) => {
    const { service, endpoint, weight } = args;
    const changed = await ask<ServiceJson>(args, 'service.add', { service, endpoint, ...given({ weight }) });
    show(args, changed, ({ backends }) => backendsTable(backends));
    return 0;
  },
});
