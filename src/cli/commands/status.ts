import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { fields, show } from '../output.ts';

export default command({
  run: async (args) => {
    show(args, await ask<Record<string, unknown>>(args, 'status'), fields);
    return 0;
  },
});
