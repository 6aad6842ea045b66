import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { configPathOf } from '../agent/config-path.ts';
import { AgentClient } from '../agent/protocol.ts';
import type { Globals } from './command.ts';

/** Asks the agent one thing. Waits up to 5 s for an agent that is (re)starting. */
export async function ask<Result>(
  args: Globals,
  method: string,
  params: Record<string, unknown> = {},
): Promise<Result> {
  const agent = await AgentClient.connect(await socketOf(args));
  try {
    return (await agent.call(method, params)) as Result;
  } finally {
    agent.close();
  }
}

/** As pathsOf() of agent/config.ts has it, which is loaded only when the file has a say. */
async function socketOf(args: Globals): Promise<string> {
  const socket = args.socket ?? process.env.WARREN_SOCKET;
  if (socket !== undefined) return socket;
  if (/^["']?(socket|runDir)\b/m.test(textOf(configPathOf(args))))
    return (await import('../agent/config.ts')).pathsOf(args).socket;
  return join(args.runDir ?? process.env.WARREN_RUN_DIR ?? '/run/warren', 'agent.sock');
}

/** Not there, or not for this user's eyes: then the agent's socket is not either. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** `K=V` words as an object; a word without `=` means an empty value. */
export function pairs(words: readonly string[] | undefined): Record<string, string> {
  return Object.fromEntries(
    (words ?? []).map((word) => {
      const equals = word.indexOf('=');
      return equals < 0 ? [word, ''] : [word.slice(0, equals), word.slice(equals + 1)];
    }),
  );
}

/** Leaves out what was not given, so that the agent's defaults apply. */
export function given<Fields extends Record<string, unknown>>(fields: Fields): Partial<Fields> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<Fields>;
}
