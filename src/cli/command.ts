import type { ArgumentsCamelCase, Argv } from 'yargs';

/** Options every command has. */
export type Globals = {
  json?: boolean;
  verbose?: boolean;
  config?: string;
  socket?: string;
  stateDir?: string;
  runDir?: string;
  '--'?: string[];
};

/** One command, one file. `run` answers with the exit status, 0 when it answers nothing. */
export type Command<Args = Record<string, unknown>> = {
  options?: (yargs: Argv<Globals>) => Argv<Globals & Args>;
  run: (args: ArgumentsCamelCase<Globals & Args>) => Promise<number | undefined>;
};

/** Keeps the types of the options a command declares for the function that runs it. */
export function command<Args>(spec: Command<Args>): Command<Args> {
  return spec;
}
