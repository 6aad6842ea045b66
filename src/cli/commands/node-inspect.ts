import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { fields } from '../table.ts';

export default command({
  options: (yargs) => yargs.positional('node', { type: 'string', demandOption: true, describe: 'name or id' }),
  run: async (args) => {
    show(args, await ask<Record<string, unknown>>(args, 'node.inspect', { node: args.node }), fields);
    return 0;
  },
});
