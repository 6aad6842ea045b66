import type { EndpointJson } from '../../control/present.ts';
import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { table } from '../table.ts';

export default command({
  options: (yargs) => yargs.option('network', { type: 'string', describe: 'only of this network' }),
  run: async (args) => {
    const endpoints = await ask<EndpointJson[]>(args, 'endpoint.list', given({ network: args.network }));
    show(args, endpoints, (rows) =>
      table(rows, {
        network: (e: EndpointJson) => e.network,
        name: (e: EndpointJson) => e.name,
        id: (e: EndpointJson) => e.id,
        node: (e: EndpointJson) => e.node,
        addresses: (e: EndpointJson) => e.addresses,
        ifname: (e: EndpointJson) => e.ifname,
        state: (e: EndpointJson) => e.state,
        netns: (e: EndpointJson) => e.netns,
      }),
    );
    return 0;
  },
});
