import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { fields } from '../table.ts';

export default command({
  run: async (args) => {
    show(args, await ask<Record<string, unknown>>(args, 'status'), fields);
    return 0;
  },
});
