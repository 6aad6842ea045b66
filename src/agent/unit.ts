import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';

export type Command = readonly [program: string, ...args: string[]];

/**
 * What outlives the agent is a unit of its own under systemd: `systemctl stop warren` and the end of the agent's control group are
 * not its end. A scope (systemd-run(1)) keeps process id, standard input and output what they are; its name ends in something
 * random, as two of a kind may be there for a moment.
 */
export function inUnit(name: string, command: Command, systemd = '/run/systemd/system'): Command {
  if (!existsSync(systemd)) return command;
  const unit = `--unit=warren-${name}-${randomBytes(4).toString('hex')}`;
  return ['systemd-run', '--scope', '--collect', '--quiet', unit, '--', ...command];
}
