import type { Resolved } from '../../agent/resolve.ts';
import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { table } from '../table.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('name', { type: 'string', demandOption: true, describe: 'as an endpoint would ask for it' })
      .option('from', { type: 'string', describe: 'this endpoint: NAME, NETWORK/NAME or id (default: any network’s)' }),
  run: async (args) => {
    const resolved = await ask<Resolved>(args, 'resolve', { name: args.name, ...given({ from: args.from }) });
    show(args, resolved, ({ records }) => table(records, columns));
    return 0;
  },
});

type Row = Resolved['records'][number];
const columns = {
  name: ({ name }: Row) => name,
  ttl: ({ ttl }: Row) => ttl,
  type: ({ type }: Row) => type,
  data: ({ data }: Row) => data,
};
