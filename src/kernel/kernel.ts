import type { Op, Visit } from './op.ts';
import type { Hint, Netns, NetnsId, NetnsState, Noun, Query } from './state.ts';

export type SocketType = 'udp' | 'tcp' | 'espinudp';

/** The one seam behind which tests may put a fake. Everything is asynchronous: rtnl can be busy for seconds. */
export interface Kernel {
  /** A finished, consistent dump of what the query names, or a KernelError. */
  read(netns: Netns, query: Query): Promise<NetnsState>;
  /** In order; stops at the first failure, which the error names by index. Not a transaction. */
  apply(netns: Netns, ops: readonly Op[]): Promise<void>;
  /** The same in several namespaces, one after the other, as one request: asking costs as much as a small change. */
  applyAll(visits: readonly Visit[]): Promise<void>;
  /**
   * Yields what has changed of these nouns, and in a namespace other than the host's also where its links lead: a hint, as
   * more may have happened since. The first one tells what links there are. Ends on abort or when the namespace dies.
   */
  watch(netns: Netns, nouns: readonly Noun[], signal: AbortSignal): AsyncIterable<Hint>;
  /** Identity of the namespace a path leads to; undefined when nothing (or no namespace) is there. */
  identify(path: string): Promise<NetnsId | undefined>;
  /** Names below /run/netns that are namespaces. */
  namespaces(): Promise<readonly string[]>;
  /**
   * A bound socket opened inside a namespace; the caller owns the file descriptor. 'espinudp' is a UDP socket whose ESP
   * packets go to IPsec while it is open; it need not be read from, and its port is never shared (EADDRINUSE).
   */
  socket(netns: Netns, type: SocketType, address: string, port: number): Promise<number>;
  /**
   * How many TCP connections to this port of the namespace's own are open: established, or closed by one side, or by both
   * with something on the way still. Those being made are not counted, nor is what only waits for its time (TIME_WAIT).
   * Equivalent to: `ss -tnH state connected exclude syn-sent exclude syn-recv exclude time-wait sport = :PORT | wc -l`
   */
  connections(netns: Netns, port: number): Promise<number>;
  close(): Promise<void>;
}
