import type { NodeJson } from '../../control/present.ts';
import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';

export default command({
  options: (yargs) => yargs.positional('node', { type: 'string', demandOption: true, describe: 'name or id' }),
  run: async (args) => {
    const node = await ask<NodeJson>(args, 'node.drain', { node: args.node });
    show(args, node, ({ name }) => `${name} takes no new endpoints, and its backends no new connections`);
    return 0;
  },
});
