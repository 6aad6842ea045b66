import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { table } from '../table.ts';

type Rekeyed = { node: string; rekeyed: boolean; generation: number | null; cipher: string | null };

export default command({
  options: (yargs) => yargs.positional('node', { type: 'string', describe: 'name or id; all without it' }),
  run: async (args) => {
    const done = await ask<Rekeyed[]>(args, 'rekey', args.node === undefined ? {} : { node: args.node });
    show(args, done, (rows) =>
      rows.length === 0
        ? 'no keys: this host shares no encrypted network with another'
        : table(rows, {
            node: (row: Rekeyed) => row.node,
            keys: (row: Rekeyed) => (row.rekeyed ? 'new' : 'pending'),
            generation: (row: Rekeyed) => row.generation,
            cipher: (row: Rekeyed) => row.cipher,
          }),
    );
    // A host that does not answer gets them when it does.
    return done.every(({ rekeyed, generation }) => rekeyed || generation === null) ? 0 : 1;
  },
});
