import type { NodeJson } from '../../control/present.ts';
import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';

export default command({
  options: (yargs) => yargs.positional('node', { type: 'string', demandOption: true, describe: 'name or id' }),
  run: async (args) => {
    const node = await ask<NodeJson>(args, 'node.activate', { node: args.node });
    show(args, node, ({ name }) => `${name} takes endpoints and connections`);
    return 0;
  },
});
