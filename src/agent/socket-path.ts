import { join } from 'node:path';

/** Apart from config.ts so that a command which only asks the agent loads no parser. */
export function runDirOf(options: { runDir?: string }): string {
  return options.runDir ?? process.env.WARREN_RUN_DIR ?? '/run/warren';
}

export function socketOf(options: { runDir?: string; socket?: string }): string {
  return options.socket ?? process.env.WARREN_SOCKET ?? join(runDirOf(options), 'agent.sock');
}
