import type { Writable } from 'node:stream';
import type { EndpointJson } from '../../control/present.ts';
import { resolvConf } from '../../model/dns.ts';
import { WarrenError } from '../../model/error.ts';
import { ask } from '../ask.ts';
import { child } from '../child.ts';
import { command } from '../command.ts';
import { ownMounts, ownNames } from '../inside.ts';

export default command({
  options: (yargs) =>
    yargs.positional('endpoint', { type: 'string', demandOption: true, describe: 'name, NETWORK/NAME or id' }),
  run: async (args) => {
    const argv = args['--'] ?? [];
    if (argv.length === 0)
      throw new WarrenError('invalid_input', 'which command?', 'write: warren endpoint exec NAME -- CMD…');
    const endpoint = await ask<EndpointJson & { local: boolean }>(args, 'endpoint.inspect', {
      endpoint: args.endpoint,
    });
    if (!endpoint.local) {
      throw new WarrenError(
        'endpoint_not_found',
        `endpoint "${endpoint.name}" lives on node "${endpoint.node}"`,
        `run it there`,
      );
    }
    const script = `${ownNames}; exec "$@"`;
    const inside = ['unshare', ...ownMounts, 'sh', '-c', script, 'sh', ...argv];
    const { process, status } = child('nsenter', [`--net=${endpoint.netns}`, '--', ...inside], {
      stdio: ['inherit', 'inherit', 'inherit', 'pipe'],
    });
    const names = process.stdio[3] as Writable;
    names.on('error', () => {}); // it has ended; its status tells
    names.end(resolvConf(endpoint.dns));
    return status;
  },
});
