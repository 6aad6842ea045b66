import assert from 'node:assert/strict';
import type { Drops } from '../../src/agent/drops.ts';
import type { PairJson } from '../../src/agent/pair-report.ts';
import type { EndpointJson, NetworkJson, NodeJson } from '../../src/control/present.ts';
import type { Guest } from '../lab/guest.ts';
import type { Job, Result } from '../lab/job.ts';
import { Lab, type LabOptions } from '../lab/lab.ts';
import { type Answer, Relay } from './relay.ts';
import { waitFor } from './wait.ts';

export type Status = {
  node: NodeJson;
  cluster: { id: string; name: string };
  store: {
    url: string;
    connected: boolean;
    revision: number;
    lagMs: number;
    layout: number | null;
    synced: boolean;
    frozen: boolean;
    recoveredAt: string | null;
    conflicts: readonly { name: string; code: string; holder: string }[];
  };
  networks: number;
  endpoints: number;
  reconcile: { lastAt: string; ok: boolean; pending: number; lastError: string | null };
  encryption: {
    able: boolean;
    trouble: string | null;
    ciphers: readonly string[];
    holder: { up: boolean; pid: number | null; trouble: string | null } | null;
    peers: readonly PairJson[];
    drops: readonly Drops[];
  };
  warnings: readonly string[];
  dns: { up: boolean; pid: number | null; networks: number; trouble: string | null };
  kernel: { features: Record<string, boolean> };
  agent: { pid: number };
};

/** One lab guest as a host of a cluster: the built CLI, and a running agent. */
export class Host {
  readonly guest: Guest;
  readonly #relay: Relay;
  #agent: Job | undefined;
  #pid: number | undefined;

  constructor(guest: Guest) {
    this.guest = guest;
    this.#relay = new Relay(guest);
  }

  get name(): string {
    return this.guest.name;
  }

  /** `warren ARGV --json`, which must succeed. */
  json<T>(argv: string): Promise<T> {
    return this.guest.json<T>(`warren ${argv} --json`);
  }

  /** `warren ARGV`, however it ends. */
  warren(argv: string, env: Record<string, string> = {}): Promise<Result> {
    return this.guest.run(`warren ${argv}`, { env });
  }

  /** Asks the agent by its socket, as `warren` does, which costs a fiftieth of starting that. */
  ask<T>(method: string, params: Record<string, unknown> = {}): Promise<Answer<T>> {
    return this.#relay.ask<T>(method, params);
  }

  /** What `warren status --json` says. */
  async status(): Promise<Status> {
    const { result, error } = await this.ask<Status>('status');
    return result ?? assert.fail(`${this.name}: ${error.message}`);
  }

  async init(options: string): Promise<void> {
    await this.guest.ok(`warren init ${options}`);
  }

  /** Starts the agent and waits until it is in the cluster and everything is as wished. */
  async startAgent(options = '', warren = 'warren'): Promise<void> {
    this.#agent = this.guest.spawn(`exec ${warren} agent -v ${options} >>/lab/$(hostname).agent 2>&1`);
    await this.settled();
  }

  /** How the agent ended, by itself. */
  async agentEnd(): Promise<Result> {
    return (await this.#agent?.done) ?? assert.fail('no agent was started');
  }

  async settled(): Promise<Status> {
    return waitFor(
      async () => {
        const status = await this.status();
        this.#pid = status.agent.pid;
        const { store, reconcile } = status;
        const done = store.connected && store.synced && !store.frozen && reconcile.pending === 0 && reconcile.ok;
        if (!done) throw new Error(JSON.stringify({ store, reconcile }));
        return status;
      },
      { what: `the agent on ${this.name} to settle`, timeout: 60_000, every: 100 },
    );
  }

  /** kill -9, as when the kernel is out of memory. */
  async killAgent(signal = 'KILL'): Promise<void> {
    await this.guest.ok(`kill -${signal} ${this.#pid}`);
    await this.#agent?.done;
  }

  async stopAgent(): Promise<void> {
    await this.killAgent('TERM');
  }

  /** A container: a namespace with its loopback up, attached. */
  async attach(network: string, netns: string, options = ''): Promise<EndpointJson> {
    await this.guest.ok(`ip netns add ${netns}`);
    return this.json<EndpointJson>(`attach ${network} --netns ${netns} ${options}`);
  }

  /** Runs a command in a container. */
  inside(netns: string, command: string): Promise<Result> {
    return this.guest.run(`ip netns exec ${netns} ${command}`);
  }
}

/** Three hosts with a Redis on the first, all in one cluster, agents running. */
export class Cluster implements AsyncDisposable {
  readonly lab: Lab;
  readonly hosts: readonly Host[];
  readonly a: Host;
  readonly b: Host;
  readonly c: Host;

  private constructor(lab: Lab) {
    this.lab = lab;
    this.hosts = lab.all.map((guest) => new Host(guest));
    [this.a, this.b, this.c] = this.hosts as [Host, Host, Host];
  }

  static readonly store = 'redis://10.77.0.1:6379';

  static async start(options: LabOptions & { guests?: number } = {}): Promise<Cluster> {
    const cluster = await Cluster.boot(options);
    try {
      for (const host of cluster.hosts) await host.init(`--store ${Cluster.store} --advertise eth0`);
      await Promise.all(cluster.hosts.map((host) => host.startAgent()));
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** The same as a person makes it: the first host with a store of its own (TLS, ACL), the others by its token; c manages, too. */
  static async joined(
    options: LabOptions & { guests?: number } = {},
    prepare: (first: Host) => Promise<unknown> = async () => {},
  ): Promise<Cluster> {
    const cluster = new Cluster(await Lab.start(options));
    try {
      const [first, ...others] = cluster.hosts as [Host, ...Host[]];
      await prepare(first);
      await first.init('--advertise eth0');
      await first.startAgent();
      for (const host of others) {
        const { token } = await first.json<{ token: string }>(`token ${host === cluster.c ? 'manager' : 'worker'}`);
        await host.guest.write('/tmp/token', token, '600');
        await host.guest.ok(`warren join - ${first.name} </tmp/token`);
      }
      await Promise.all(others.map((host) => host.startAgent()));
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** The hosts and their store, nothing of warren yet. */
  static async boot(options: LabOptions & { guests?: number } = {}): Promise<Cluster> {
    const lab = await Lab.start(options);
    const cluster = new Cluster(lab);
    try {
      await cluster.a.guest.ok(
        'redis-server --daemonize yes --bind 10.77.0.1 127.0.0.1 --protected-mode no --save "" --dir /run',
      );
      await waitFor(() => cluster.a.guest.run('redis-cli -h 10.77.0.1 ping').then(({ code }) => code === 0), {
        what: 'redis',
      });
      return cluster;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  network(argv: string): Promise<NetworkJson> {
    return this.a.json<NetworkJson>(`network create ${argv} --encrypt=false`);
  }

  stop(): Promise<void> {
    return this.lab.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
