import type { ChildProcess } from 'node:child_process';
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Host } from './place.ts';
import { scratch, write } from './place.ts';

/** What warren is measured against: floor.c, iproute2's batches, and Debian's CNI plugins. */

/** A running floor.c on one host. */
export class Floor {
  readonly #child: ChildProcess;
  readonly #waiting: ((line: string) => void)[] = [];
  #vni = 5_000_000;

  constructor(host: Host) {
    this.#child = host.spawn([`${scratch}/floor`]);
    this.#child.stderr?.on('data', (data) => process.stderr.write(data));
    createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on('line', (line) =>
      this.#waiting.shift()?.(line),
    );
    this.#child.on('exit', (code) => {
      for (const answer of this.#waiting.splice(0)) answer(`the floor ended (${code})`);
    });
  }

  /** Milliseconds, by its own clock. */
  async run(command: string): Promise<number> {
    const line = await new Promise<string>((resolve) => {
      this.#waiting.push(resolve);
      this.#child.stdin?.write(`${command}\n`);
    });
    const ms = Number(line) / 1000;
    if (Number.isNaN(ms)) throw new Error(`floor: ${command}: ${line}`);
    return ms;
  }

  network(): Promise<number> {
    return this.run(`network ${++this.#vni} 10.77.0.1`);
  }

  cold(prefix: string, locals: number, remotes: number): Promise<number> {
    return this.run(`cold ${++this.#vni} 10.77.0.1 ${prefix} ${locals} ${remotes}`);
  }

  stop(): void {
    this.#child.kill('SIGKILL');
  }
}

const byte = (n: number): string => (n & 0xff).toString(16).padStart(2, '0');
const macOf = (kind: string, n: number): string => `${kind}:00:00:${byte(n >> 16)}:${byte(n >> 8)}:${byte(n)}`;

/** The floor's messages as lines for `ip -batch` and `bridge -batch`, in the namespace of a network made by hand. */
export const iproute = {
  /** The words of a shell: this part is not measured. */
  network: (ns: string, vni: number): string => `
    ip netns add ${ns}
    ip -n ${ns} link set lo up
    ip -n ${ns} link add br0 mtu 1450 type bridge stp_state 0 mcast_snooping 0
    ip -n ${ns} link set br0 addrgenmode none up
    ip link add ${ns}v netns ${ns} mtu 1450 type vxlan id ${vni} local 10.77.0.1 dstport 4790 nolearning proxy
    ip -n ${ns} link set ${ns}v name vx0 master br0 addrgenmode none
    ip -n ${ns} link set vx0 type bridge_slave learning off flood off
    ip -n ${ns} link set vx0 up
    ip -n ${ns} addr add 10.9.0.1/16 dev br0
    ip -n ${ns} addr add fd09::1/64 dev br0 nodad`,
  hostEnd(n: number, netns: string): string {
    const name = `wip${n}`;
    return [
      `link add ${name} address ${macOf('12', n)} mtu 1450 master br0 type veth peer name eth0 netns ${netns} mtu 1450 address ${macOf('0a', n)}`,
      `link set ${name} addrgenmode none type bridge_slave learning off flood off`,
      `link set ${name} up`,
    ].join('\n');
  },
  hostFdb: (n: number): string => `fdb replace ${macOf('0a', n)} dev wip${n} master extern_learn`,
  inside(n: number): string {
    return [
      'link set lo up',
      'link set eth0 up',
      `addr replace 10.9.${16 + ((n >> 8) % 100)}.${n & 0xff}/16 dev eth0`,
      `addr replace fd09::3:${n.toString(16)}/64 dev eth0 nodad`,
      'route replace 10.64.0.0/22 via 10.9.0.1 dev eth0 proto 119',
      'route replace default via 10.9.0.1 dev eth0 proto 119',
      'route replace fd00:0:0:8000::/112 via fd09::1 dev eth0 proto 119',
      'route replace default via fd09::1 dev eth0 proto 119',
    ].join('\n');
  },
  remoteNeigh: (n: number): string =>
    [`10.9.${128 + ((n >> 8) % 100)}.${n & 0xff}`, `fd09::2:${n.toString(16)}`]
      .map((dst) => `neigh replace ${dst} lladdr ${macOf('1a', n)} dev vx0 nud permanent protocol 119`)
      .join('\n'),
  remoteFdb: (n: number): string =>
    [
      `fdb replace ${macOf('1a', n)} dev vx0 self dst 10.77.0.2 extern_learn`,
      `fdb replace ${macOf('1a', n)} dev vx0 master extern_learn`,
    ].join('\n'),
};

/** Milliseconds of `ip` or `bridge` with a batch on its stdin, process and all. */
export function batch(tool: 'ip' | 'bridge', netns: string, lines: string): number {
  const began = performance.now();
  const args = [...(netns === '' ? [] : ['-n', netns]), '-batch', '-'];
  const { status, stderr } = spawnSync(tool, args, { input: `${lines}\n`, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${tool} ${args.join(' ')}: ${stderr.slice(0, 300)}`);
  return performance.now() - began;
}

const plugins = '/usr/lib/cni';

/** Debian's CNI bridge with host-local addresses; undefined when the package is not there. */
export function cni(): { add(netns: string): number; del(netns: string): number } | undefined {
  if (!existsSync(`${plugins}/bridge`)) return undefined;
  const config = JSON.stringify({
    cniVersion: '1.0.0',
    name: 'bench',
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    ipam: {
      type: 'host-local',
      dataDir: `${scratch}/cni`,
      ranges: [[{ subnet: '10.200.0.0/16' }]],
      routes: [{ dst: '0.0.0.0/0' }],
    },
  });
  const call = (command: string, netns: string): number => {
    const began = performance.now();
    const { status, stdout } = spawnSync(`${plugins}/bridge`, [], {
      input: config,
      encoding: 'utf8',
      env: {
        CNI_COMMAND: command,
        CNI_CONTAINERID: netns,
        CNI_NETNS: `/run/netns/${netns}`,
        CNI_IFNAME: 'eth0',
        CNI_PATH: plugins,
        PATH: process.env.PATH,
      },
    });
    if (status !== 0) throw new Error(`CNI bridge ${command}: ${stdout}`);
    return performance.now() - began;
  };
  write(`${scratch}/cni.conf`, config);
  return { add: (netns) => call('ADD', netns), del: (netns) => call('DEL', netns) };
}
