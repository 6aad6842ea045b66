import { existsSync } from 'node:fs';
import { Agent } from './agent.ts';
import type { Config, Paths } from './config.ts';
import type { Log } from './log.ts';
import { methodsOf } from './methods.ts';
import { AgentClient } from './protocol.ts';

/** One full reconcile: by the agent that runs here, else by this process, for provisioning without a daemon. */
export async function syncOnce(config: Config, paths: Paths, log: Log): Promise<unknown> {
  if (existsSync(paths.socket)) {
    const running = await AgentClient.connect(paths.socket, 0).catch(() => undefined);
    if (running) {
      try {
        return await running.call('sync');
      } finally {
        running.close();
      }
    }
  }
  const agent = new Agent(config, paths, log);
  try {
    await agent.runOnce();
    return await methodsOf(agent).status?.({}, new AbortController().signal);
  } finally {
    await agent.stop();
  }
}
