/**
 * A lab's directory below the temporary directory: sockets, consoles, and what the guests see as /lab.
 * Its name says who owns it, `warren-lab-PIDNS-PID-STARTTIME-XXXXXX`, so that a later lab can tell a dead owner's from a living
 * one's. Of another PID namespace (a bench runs in one of its own) nothing can be told, and nothing is touched.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const prefix = `warren-lab-${/\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0]}-`;
const live = new Set<RunDir>();

/** Start time of a process in clock ticks since boot; undefined when it is gone or a zombie. A pid alone may be somebody else by now. */
function startTime(pid: number | string): string | undefined {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return 'ZX'.includes(fields[0] ?? 'X') ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** Removes the directories of labs that were killed. Their processes are gone already: each dies with its parent. */
export function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(prefix)) continue;
    const [pid, started] = name.slice(prefix.length).split('-');
    if (!pid || startTime(pid) === started) continue;
    rmSync(join(tmpdir(), name), { recursive: true, force: true });
  }
}

function removeAll(): void {
  for (const dir of live) dir.remove();
}

/** A signal ends Node without an 'exit' event; remove first, then die of the same signal as if nobody had listened. */
function onSignal(signal: NodeJS.Signals): void {
  removeAll();
  process.kill(process.pid, signal);
}
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export class RunDir {
  readonly path: string;
  readonly share: string;
  readonly uml: string;

  constructor() {
    sweep();
    if (live.size === 0) {
      process.on('exit', removeAll);
      for (const signal of signals) process.once(signal, onSignal);
    }
    this.path = mkdtempSync(join(tmpdir(), `${prefix}${process.pid}-${startTime('self')}-`));
    this.share = join(this.path, 'share');
    this.uml = join(this.path, 'uml');
    mkdirSync(this.share);
    mkdirSync(this.uml);
    live.add(this);
  }

  remove(): void {
    rmSync(this.path, { recursive: true, force: true });
    live.delete(this);
    if (live.size > 0) return;
    process.off('exit', removeAll);
    for (const signal of signals) process.off(signal, onSignal);
  }
}
