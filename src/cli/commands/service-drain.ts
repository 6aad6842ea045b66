import type { ServiceJson } from '../../control/present-service.ts';
import { ask } from '../ask.ts';
import { backendsTable } from '../backends-table.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('service', { type: 'string', demandOption: true, describe: 'name, NETWORK/NAME or id' })
      .positional('endpoint', { type: 'string', demandOption: true, describe: 'name, NETWORK/NAME or id' })
      .option('grace', { type: 'number', default: 30, describe: 'seconds its connections have to end' })
      .option('wait', { type: 'boolean', default: true, describe: 'until they have (--no-wait: return at once)' }),
  run: async (args) => {
    const { service, endpoint, grace, wait } = args;
    const params = { service, endpoint, grace: Math.round(grace * 1000), wait };
    show(args, await ask<ServiceJson>(args, 'service.drain', params), ({ backends }) => backendsTable(backends));
    return 0;
  },
});
