import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { fields } from '../table.ts';

export default command({
  options: (yargs) =>
    yargs.positional('network', {
      type: 'string',
      demandOption: true,
      describe: 'name, id, or 4 or more characters of its id',
    }),
  run: async (args) => {
    show(args, await ask<Record<string, unknown>>(args, 'network.inspect', { network: args.network }), fields);
    return 0;
  },
});
