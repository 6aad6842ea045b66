import { AgentClient } from '../agent/protocol.ts';
import { socketOf } from '../agent/socket-path.ts';
import type { Globals } from './command.ts';

/** Asks the agent one thing. Waits up to 5 s for an agent that is (re)starting. */
export async function ask<Result>(
  args: Globals,
  method: string,
  params: Record<string, unknown> = {},
): Promise<Result> {
  const agent = await AgentClient.connect(socketOf(args));
  try {
    return (await agent.call(method, params)) as Result;
  } finally {
    agent.close();
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
