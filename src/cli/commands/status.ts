import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { type Status, statusText } from '../status-text.ts';

export default command({
  run: async (args) => {
    show(args, await ask<Status>(args, 'status'), statusText);
    return 0;
  },
});
