import type { CheckJson } from '../../control/repair.ts';
import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { show } from '../output.ts';
import { table } from '../table.ts';

export default command({
  options: (yargs) =>
    yargs
      .option('network', { type: 'string', describe: 'only this one' })
      .option('repair', { type: 'boolean', describe: 'mend what can be mended' }),
  run: async (args) => {
    const { network, repair } = args;
    const result = await ask<CheckJson>(args, 'ipam.check', given({ network, repair }));
    show(args, result, people);
    return result.networks.some(({ left }) => left > 0) ? 1 : 0;
  },
});

type Row = CheckJson['networks'][number]['findings'][number] & { network: string };

function people({ networks }: CheckJson): string {
  const checked = networks.reduce((sum, each) => sum + each.checked, 0);
  const left = networks.reduce((sum, each) => sum + each.left, 0);
  const more = networks.reduce((sum, each) => sum + each.more, 0);
  const rows = networks.flatMap(({ name, findings }) => findings.map((finding) => ({ network: name, ...finding })));
  const total = `${checked} entries in ${networks.length} networks: ${rows.length + more} findings, ${left} not repaired`;
  if (rows.length === 0) return total;
  const listed = table(rows, {
    network: (row: Row) => row.network,
    kind: (row: Row) => row.kind,
    subject: (row: Row) => row.subject,
    detail: (row: Row) => row.detail,
    repaired: (row: Row) => row.repaired,
  });
  return [listed, ...(more > 0 ? [`… and ${more} more`] : []), total].join('\n');
}
