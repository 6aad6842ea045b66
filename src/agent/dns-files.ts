import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { NetworkId, NodeId } from '../model/id.ts';
import { writePrivate } from './private-file.ts';

/*
 * What the agent and the process that serves names (src/dns) tell each other, in RUN-DIR, 0600:
 *   down.json         [NODE-ID…]                       from the agent: whom this node finds dead
 *   dns-status.json   {"pid","serving":[NETWORK-ID…],"trouble":TEXT|null}     to the agent
 * All that there is to serve is in STATE-DIR/view.ndjson (view-file.ts).
 */
export const downFile = 'down.json';
const statusFile = 'dns-status.json';

export type DnsStatus = {
  readonly pid: number;
  readonly serving: readonly NetworkId[];
  readonly trouble: string | null;
};

export function readDown(runDir: string): ReadonlySet<NodeId> {
  const found = read(join(runDir, downFile));
  return new Set(Array.isArray(found) ? (found as NodeId[]) : []);
}

export function writeDown(runDir: string, down: Iterable<NodeId>): void {
  writePrivate(join(runDir, downFile), `${JSON.stringify([...down])}\n`);
}

/** undefined: nobody has written one. */
export function readStatus(runDir: string): DnsStatus | undefined {
  return read(join(runDir, statusFile)) as DnsStatus | undefined;
}

export function writeStatus(runDir: string, status: DnsStatus): void {
  writePrivate(join(runDir, statusFile), `${JSON.stringify(status)}\n`);
}

/** undefined: not there, or not JSON. */
function read(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}
