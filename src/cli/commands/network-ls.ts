import type { NetworkJson } from '../../control/present.ts';
import { ask } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { table } from '../table.ts';

export default command({
  run: async (args) => {
    const networks = await ask<NetworkJson[]>(args, 'network.list');
    show(args, networks, (rows) =>
      table(rows, {
        name: (n: NetworkJson) => n.name,
        id: (n: NetworkJson) => n.id,
        vni: (n: NetworkJson) => n.vni,
        subnets: (n: NetworkJson) => n.subnets,
        mtu: (n: NetworkJson) => n.mtu,
        encrypted: (n: NetworkJson) => n.encrypted,
        endpoints: (n: NetworkJson) => n.endpoints,
      }),
    );
    return 0;
  },
});
