import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process';
import { constants } from 'node:os';

const passed = ['SIGTERM', 'SIGHUP', 'SIGUSR1', 'SIGUSR2'] as const;

/** A command in the foreground: our terminal, our signals, its exit status (128 + n when a signal ended it). */
export function child(
  file: string,
  argv: readonly string[],
  options: { env?: NodeJS.ProcessEnv; stdio?: StdioOptions } = {},
): { process: ChildProcess; status: Promise<number> } {
  const made = spawn(file, argv, { stdio: options.stdio ?? 'inherit', env: options.env ?? process.env });
  const pass = (signal: NodeJS.Signals): void => {
    made.kill(signal);
  };
  for (const signal of passed) process.on(signal, pass);
  // The terminal sends these to the whole foreground group, the child included; from elsewhere they come to us alone.
  const interrupt = (signal: NodeJS.Signals): void => {
    if (!process.stdin.isTTY) made.kill(signal);
  };
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, interrupt);
  const status = new Promise<number>((resolve, reject) => {
    made.once('error', reject);
    made.once('close', (code, signal) => {
      for (const name of passed) process.off(name, pass);
      for (const name of ['SIGINT', 'SIGQUIT'] as const) process.off(name, interrupt);
      resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
    });
  });
  return { process: made, status };
}
