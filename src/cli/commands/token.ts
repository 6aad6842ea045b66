import { WarrenError } from '../../model/error.ts';
import { ask, given } from '../ask.ts';
import { command } from '../command.ts';
import { seconds } from '../duration.ts';
import { show } from '../output.ts';

type Issued = { token: string; role: string; join: string };

export default command({
  options: (yargs) =>
    yargs
      .positional('role', { choices: ['worker', 'manager'] as const, default: 'worker' as const })
      .option('rotate', { type: 'boolean', describe: 'the former standing token of that role counts no more' })
      .option('expires', { type: 'string', describe: 'a token of its own that ends: 90s, 30m, 24h, 7d' })
      .option('uses', { type: 'number', describe: 'a token of its own, for that many hosts' }),
  run: async (args) => {
    const { role, rotate, expires, uses } = args;
    if (rotate && (expires !== undefined || uses !== undefined))
      throw new WarrenError('invalid_input', '--rotate is for the standing token, which never ends');
    if (uses !== undefined && !(Number.isInteger(uses) && uses > 0))
      throw new WarrenError('invalid_input', `--uses ${uses} is not a number of hosts`);
    const ttl = expires === undefined ? undefined : seconds('--expires', expires);
    const issued = await ask<Issued>(args, 'token.issue', given({ role, ttl, uses, rotate }));
    show(
      args,
      { token: issued.token, role: issued.role },
      ({ token }) => `${token}\n\n${joinLine(token, issued.join)}`,
    );
    return 0;
  },
});

/** The token by stdin: a command line can be read by every user of the host. */
export function joinLine(token: string, manager: string): string {
  return `on a host that shall join:\n  warren join - ${manager} <<< ${token}`;
}
