import type { NetworkJson } from '../../control/present.ts';
import { ask, given, pairs } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { fields } from '../table.ts';

export default command({
  options: (yargs) =>
    yargs
      .positional('name', { type: 'string', demandOption: true, describe: 'one DNS label' })
      .option('subnet', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'CIDR; one per family. None: one IPv4 and one IPv6 from the pools',
      })
      .option('ip-range', {
        type: 'string',
        array: true,
        nargs: 1,
        describe: 'give out addresses from this part of a subnet only',
      })
      .option('reserve', { type: 'string', array: true, nargs: 1, describe: 'an address never given out unasked' })
      .option('allow-overlap', { type: 'boolean', describe: 'the subnet may overlap another network’s' })
      .option('encrypt', {
        type: 'boolean',
        default: true,
        describe: 'encrypt between hosts (--encrypt=false: send in clear)',
      })
      .option('internal', { type: 'boolean', describe: 'no way out of the network' })
      .option('mtu', {
        type: 'string',
        describe: 'bytes, or auto: what every member’s underlay can carry',
        default: 'auto',
      })
      .option('label', { type: 'string', array: true, nargs: 1, describe: 'K=V' })
      .option('if-not-exists', { type: 'boolean', describe: 'fine when it exists with the same parameters' }),
  run: async (args) => {
    const { name, subnet, ipRange, reserve, allowOverlap, encrypt, internal, mtu, label, ifNotExists } = args;
    const network = await ask<NetworkJson>(args, 'network.create', {
      name,
      ...given({ subnets: subnet, ipRanges: ipRange, reserved: reserve, allowOverlap, internal, ifNotExists }),
      encrypted: encrypt,
      mtu: mtu === 'auto' ? 'auto' : Number(mtu),
      labels: pairs(label),
    });
    show(args, network, fields);
    return 0;
  },
});
