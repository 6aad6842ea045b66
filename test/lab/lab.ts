/**
 * The test lab: a few Linux hosts, each with its own kernel, on an Ethernet the test controls. Needs root, but neither KVM
 * nor any network state of this machine.
 *
 *   await using lab = await Lab.start();            // a b c: 10.77.0.1.. and fd77::1.. on one segment
 *   const { a, b } = lab.guests;
 *   await a.ok('ping -c1 -W2 b');
 *   await lab.net('set a.0 up 0');                  // cut a's first link; labsw.c has the other commands
 *   await b.kill(); await b.start();
 *
 * /lab is one shared, writable directory in every guest and `lab.share` here; all else a guest writes is lost when it stops.
 */
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { bootTook } from '../support/wait.ts';
import { Guest, type Nic } from './guest.ts';
import { RunDir } from './rundir.ts';
import { type PortStats, Switch } from './switch.ts';
import { compile, kernel, LabError, memoryDirectory } from './tools.ts';

/** A guest as the test wishes it. NICs are eth0, eth1 .. and ports NAME.0, NAME.1 .. of the switch. */
export type GuestWish = {
  memory?: string;
  nics?: readonly { segment?: string; addresses?: readonly string[]; mac?: string; mtu?: number }[];
  /** As for `ip route add`. */
  routes?: readonly string[];
  /** A router. */
  forward?: boolean;
  /** Kernel features it boots without, by the name of their init function: `vxlan_init_module`. */
  without?: readonly string[];
  /** With esp4_offload and esp6_offload, which most hosts load with their IPsec, and lab guests else do without. */
  espOffload?: boolean;
};
export type LabOptions = {
  memory?: string;
  /** bridge-nf-call-*tables of the guests' own namespace at boot; a fresh namespace always starts with 1. */
  brNetfilter?: boolean;
  /** As in GuestWish, of all guests. */
  espOffload?: boolean;
  bootTimeout?: number;
};
type Letter = 'a' | 'b' | 'c' | 'd' | 'e' | 'f' | 'g' | 'h';

function inARow(count: number): Record<string, GuestWish> {
  const wishes: Record<string, GuestWish> = {};
  for (let i = 1; i <= count; i++) {
    wishes[String.fromCharCode(96 + i)] = { nics: [{ addresses: [`10.77.0.${i}/24`, `fd77::${i.toString(16)}/64`] }] };
  }
  return wishes;
}

export class Lab<Name extends string = Letter> implements AsyncDisposable {
  readonly guests: Record<Name, Guest>;
  readonly share: string;
  readonly #directory: RunDir;
  readonly #switch: Switch;

  private constructor(directory: RunDir, guests: Record<Name, Guest>) {
    this.#directory = directory;
    this.share = directory.share;
    this.guests = guests;
    this.#switch = new Switch();
  }

  /** That many guests on one segment, or each by name. */
  static start(options?: LabOptions & { guests?: number }): Promise<Lab>;
  static start<Name extends string>(options: LabOptions & { guests: Record<Name, GuestWish> }): Promise<Lab<Name>>;
  static async start(options: LabOptions & { guests?: number | Record<string, GuestWish> } = {}): Promise<Lab<string>> {
    if (process.getuid?.() !== 0)
      throw new LabError('the lab needs root: it makes mount and PID namespaces for its guests');
    const wishes = typeof options.guests === 'object' ? options.guests : inARow(options.guests ?? 3);
    // Before the directory exists: these are what fails on an unprepared machine.
    const tools = { kernel: kernel(), agent: compile('labagent'), memoryDirectory: memoryDirectory() };
    compile('labsw');
    const directory = new RunDir();
    const guests: Record<string, Guest> = {};
    let nextMac = 1;
    for (const [name, wish] of Object.entries<GuestWish>(wishes)) {
      const nics: Nic[] = (wish.nics ?? []).map((nic) => ({
        segment: nic.segment ?? 'net0',
        addresses: nic.addresses ?? [],
        mac: nic.mac ?? `02:77:00:00:00:${(nextMac++).toString(16).padStart(2, '0')}`,
        mtu: nic.mtu ?? 1500,
      }));
      guests[name] = new Guest(
        name,
        {
          memory: wish.memory ?? options.memory ?? '512M',
          nics,
          routes: wish.routes ?? [],
          forward: wish.forward ?? false,
          without: [
            ...(wish.without ?? []),
            ...((wish.espOffload ?? options.espOffload) ? [] : ['esp4_offload_init', 'esp6_offload_init']),
          ],
        },
        {
          ...tools,
          runDirectory: directory.path,
          share: directory.share,
          uml: directory.uml,
          brNetfilter: options.brNetfilter ?? false,
          bootTimeout: options.bootTimeout ?? 60_000,
          // Labs that run side by side do not all begin with the same one.
          processor: (process.pid + Object.keys(guests).length) % availableParallelism(),
        },
      );
    }
    const lab = new Lab<string>(directory, guests);
    try {
      await lab.#boot();
    } catch (error) {
      await lab.stop();
      throw error;
    }
    return lab;
  }

  async #boot(): Promise<void> {
    const hosts: string[] = [];
    for (const guest of this.all) {
      for (const [i, nic] of guest.spec.nics.entries()) {
        await this.net(`port ${guest.name}.${i} ${nic.segment} ${this.#directory.path}/${guest.name}.${i}`);
        hosts.push(...nic.addresses.map((address) => `${address.replace(/\/.*/, '')} ${guest.name}\n`));
      }
    }
    writeFileSync(join(this.share, 'hosts'), hosts.join(''));
    const began = performance.now();
    await Promise.all(this.all.map((guest) => guest.start()));
    bootTook(performance.now() - began);
  }

  get all(): readonly Guest[] {
    return Object.values<Guest>(this.guests);
  }

  /** One command to the switch, for example `set a.0 loss 10`, `block a.0 b.0`, `drop * 50`. */
  async net(command: string): Promise<void> {
    await this.#switch.command(command);
  }

  /** Frame counters of every port, by port name. */
  async stats(): Promise<Record<string, PortStats>> {
    return (await this.#switch.command('stats')) as Record<string, PortStats>;
  }

  /** Captures what is offered to the switch into a file (pcap), from one port or all; ends with `net('pcap off')`. */
  async capture(file: string, port = ''): Promise<void> {
    await this.net(`pcap ${file} ${port}`);
  }

  async stop(): Promise<void> {
    await Promise.all(this.all.map((guest) => guest.stop()));
    await this.#switch.stop();
    this.#directory.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
