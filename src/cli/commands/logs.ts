import type { AuditJson } from '../../control/audit.ts';
import { WarrenError } from '../../model/error.ts';
import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { seconds } from '../duration.ts';
import { show } from '../output.ts';
import { table } from '../table.ts';

export default command({
  options: (yargs) =>
    yargs
      .option('audit', { type: 'boolean', describe: 'every change of the cluster: who, what, when' })
      .option('network', { type: 'string', describe: 'only changes in that network' })
      .option('since', { type: 'string', describe: 'only later ones: 90s, 30m, 24h, 7d ago' })
      .option('lines', { alias: 'n', type: 'number', default: 100, describe: 'at most so many, the latest' }),
  run: async (args) => {
    if (!args.audit)
      throw new WarrenError(
        'invalid_input',
        'warren logs shows the audit only: --audit',
        'what an agent says is in its own log: journalctl -u warren',
      );
    const { network, since, lines: limit } = args;
    const from = since && new Date(Date.now() - seconds('--since', since) * 1000).toISOString();
    const entries = await ask<AuditJson[]>(args, 'audit.list', given({ network, limit, since: from || undefined }));
    show(args, entries, (rows) =>
      table(rows, {
        when: (e: AuditJson) => e.at,
        who: (e: AuditJson) => e.by,
        what: (e: AuditJson) => e.action,
        name: (e: AuditJson) => e.name ?? e.id,
        network: (e: AuditJson) => (e.kind === 'network' ? e.name : e.network),
      }),
    );
    return 0;
  },
});
