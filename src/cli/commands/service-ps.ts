import type { BackendJson } from '../../control/present-service.ts';
import { ask } from '../ask.ts';
import { backendsTable } from '../backends-table.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';

export default command({
  options: (yargs) =>
    yargs.positional('service', { type: 'string', demandOption: true, describe: 'name, NETWORK/NAME or id' }),
  run: async (args) => {
    show(args, await ask<BackendJson[]>(args, 'service.backends', { service: args.service }), backendsTable);
    return 0;
  },
});
