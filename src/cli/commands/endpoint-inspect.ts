import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { fields } from '../table.ts';

export default command({
  options: (yargs) =>
    yargs.positional('endpoint', { type: 'string', demandOption: true, describe: 'name, NETWORK/NAME or id' }),
  run: async (args) => {
    show(args, await ask<Record<string, unknown>>(args, 'endpoint.inspect', { endpoint: args.endpoint }), fields);
    return 0;
  },
});
