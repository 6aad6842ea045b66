import { type FSWatcher, watch } from 'node:fs';
import { parseArgs } from 'node:util';
import { downFile, readDown, readStatus, writeStatus } from '../agent/dns-files.ts';
import { openKernel } from '../kernel/native.ts';
import { resting } from '../model/node.ts';
import type { View } from '../model/view.ts';
import { Feed, viewFile } from './feed.ts';
import { Forwarder } from './forward.ts';
import { type Knowledge, respond } from './respond.ts';
import { Server } from './server.ts';
import { Upstreams } from './upstreams.ts';
import { Zones } from './zone.ts';

/*
 * warren-dns --state-dir DIR --run-dir DIR: serves names to the endpoints of this host, from what the agent wrote down.
 *
 *   STATE-DIR/view.ndjson ──► Feed ──► Zones ──┐
 *   RUN-DIR/down.json ───────────────► down ───┴─► respond ◄──► Listeners, inside each network's namespace ◄── Server ◄── /run/netns
 *                                                     └──► Forwarder ──► the host's resolvers
 *
 * Says "ready" once it has the view. It needs nobody: agents come and go, and so may the store.
 */
const { values } = parseArgs({ options: { 'state-dir': { type: 'string' }, 'run-dir': { type: 'string' } } });
const { 'state-dir': stateDir = '/var/lib/warren', 'run-dir': runDir = '/run/warren' } = values;

/** The kernel tells what changes; this is the safety net under it. */
const lookMs = 1000;
const namespaces = '/run/netns';

const kernel = openKernel();
let nodes: View['nodes'] = new Map();
let down = readDown(runDir);
const knowledge: Knowledge = {
  zones: new Zones(),
  down: { has: (id) => down.has(id) },
  resting: { has: (id) => resting(nodes, down).has(id) },
};
const upstreams = new Upstreams();
const forwarder = new Forwarder(() => upstreams.servers(server.addresses));
const server = new Server(
  kernel,
  (network) => (message, via) => respond(message, via, network, knowledge, forwarder),
  report,
);
const feed = new Feed(stateDir, (view, changes) => {
  nodes = view.nodes;
  if (changes) knowledge.zones.update(view, changes);
  else knowledge.zones.reset(view);
  server.update(view);
});

const watched = new Map<string, FSWatcher>();
/** A directory may come, or be another one, later. */
function follow(directory: string, changed: (file: string | null) => void): void {
  if (watched.has(directory)) return;
  try {
    const watcher = watch(directory, (_, file) => attempt(() => changed(file)));
    watcher.on('error', () => watched.delete(directory));
    watched.set(directory, watcher);
  } catch {} // not there yet
}

function lookAround(): void {
  follow(stateDir, (file) => file === viewFile && feed.look());
  follow(runDir, (file) => file === downFile && lookDown());
  follow(namespaces, () => server.update());
  attempt(() => feed.look());
  attempt(lookDown);
  attempt(() => server.update());
  report();
}

function lookDown(): void {
  down = readDown(runDir);
}

function report(): void {
  const status = { pid: process.pid, serving: server.serving, trouble: server.trouble ?? null };
  if (JSON.stringify(readStatus(runDir)) !== JSON.stringify(status)) attempt(() => writeStatus(runDir, status));
}

let said = '';
/** What fails now is tried again, and said once. */
function attempt(work: () => void): void {
  try {
    work();
  } catch (error) {
    const { message } = error as Error;
    if (message !== said) process.stderr.write(`${new Date().toISOString()} ${message}\n`);
    said = message;
  }
}

// Whoever reads what it says may end before it.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {});
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.once(signal, () => {
    server.close();
    setImmediate(() => process.exit(0));
  });
}
process.on('SIGHUP', () => {});
lookAround();
setInterval(lookAround, lookMs);
process.stdout.write('ready\n');
