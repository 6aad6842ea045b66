import type { ServiceJson } from '../../control/present-service.ts';
import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { table } from '../table.ts';

export default command({
  options: (yargs) => yargs.option('network', { type: 'string', describe: 'only of this network' }),
  run: async (args) => {
    const services = await ask<ServiceJson[]>(args, 'service.list', given({ network: args.network }));
    show(args, services, (rows) =>
      table(rows, {
        network: (s: ServiceJson) => s.network,
        name: (s: ServiceJson) => s.name,
        id: (s: ServiceJson) => s.id,
        vips: (s: ServiceJson) => s.vips,
        ports: (s: ServiceJson) => s.ports.map(({ port, target, proto }) => `${port}:${target}/${proto}`),
        scheduler: (s: ServiceJson) => s.scheduler,
        health: (s: ServiceJson) => s.health,
        backends: (s: ServiceJson) => `${s.backends.filter(({ weight }) => weight > 0).length}/${s.backends.length}`,
      }),
    );
    return 0;
  },
});
