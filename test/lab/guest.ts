/** One guest: a User-Mode Linux process with its own kernel, the host's files under a private overlay, and NICs on the switch. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Duplex } from 'node:stream';
import { argvOf, type Command, Job, type Result, type RunOptions } from './job.ts';
import { Line } from './line.ts';
import { here, LabError, project } from './tools.ts';

export type Nic = { segment: string; addresses: readonly string[]; mac: string; mtu: number };
export type GuestSpec = {
  memory: string;
  nics: readonly Nic[];
  routes: readonly string[];
  forward: boolean;
  without: readonly string[];
};
/** What the lab gives each of its guests. */
export type Surroundings = {
  kernel: string;
  agent: string;
  memoryDirectory: string;
  runDirectory: string;
  share: string;
  uml: string;
  brNetfilter: boolean;
  bootTimeout: number;
  /** Of the host, which all of the guest runs on. */
  processor: number;
};

const path = [
  ...new Set([
    dirname(process.execPath),
    '/usr/local/sbin',
    '/usr/local/bin',
    '/usr/sbin',
    '/usr/bin',
    '/sbin',
    '/bin',
  ]),
];
// `--env LANG` of the host must not change what tools print.
const environment = { PATH: path.join(':'), HOME: '/root', LANG: 'C.UTF-8' };

export class Guest {
  readonly name: string;
  readonly spec: GuestSpec;
  readonly #lab: Surroundings;
  readonly #jobs = new Map<number, Job>();
  #nextJob = 1;
  #nextFile = 1;
  #process: ChildProcess | undefined;
  #line: Line | undefined;
  #exited: Promise<void> = Promise.resolve();
  #up = false;

  constructor(name: string, spec: GuestSpec, lab: Surroundings) {
    this.name = name;
    this.spec = spec;
    this.#lab = lab;
  }

  get up(): boolean {
    return this.#up;
  }

  /** The first address of a family on the underlay, without prefix length. */
  address(family: 4 | 6 = 4): string {
    const address = this.spec.nics.flatMap((nic) => nic.addresses).find((a) => a.includes(':') === (family === 6));
    if (!address) throw new LabError(`guest ${this.name} has no IPv${family} address`);
    return address.replace(/\/.*/, '');
  }

  /** What the guest's kernel and init said so far. */
  console(): string {
    return readFileSync(join(this.#lab.share, `${this.name}.log`), 'utf8');
  }

  /** Boots, and configures the NICs. */
  async start(): Promise<void> {
    if (this.#process) throw new LabError(`guest ${this.name} is running already`);
    const log = openSync(join(this.#lab.share, `${this.name}.log`), 'a');
    const [command = '', ...args] = this.#commandLine();
    const child = spawn(command, args, {
      cwd: '/',
      stdio: ['ignore', log, log, 'pipe'],
      env: { PATH: environment.PATH, TMPDIR: this.#lab.memoryDirectory, HOME: '/root', TERM: 'linux' },
    });
    closeSync(log);
    this.#process = child;
    this.#exited = once(child, 'exit').then(() => this.#gone());
    const timer = setTimeout(() => child.kill('SIGKILL'), this.#lab.bootTimeout);
    const booted = new Promise<void>((resolve, reject) => {
      this.#line = new Line(child.stdio[3] as Duplex, (type, id, payload) => {
        if (type === 'H') resolve();
        else if (type === 'S') this.#finish(id, payload.readInt32LE(0));
        else if (type === 'O' || type === 'E') this.#jobs.get(id)?.take(type, payload);
      });
      const failed = () => reject(new LabError(`guest ${this.name} did not boot:\n${this.console().slice(-2000)}`));
      this.#exited.then(failed, failed);
    });
    await booted.finally(() => clearTimeout(timer));
    this.#up = true;
    await this.ok(['sh', '-ec', this.#configuration()]);
  }

  #commandLine(): readonly string[] {
    const lab = this.#lab;
    const nics = this.spec.nics.map(
      (nic, i) =>
        `vec${i}:transport=bess,dst=${lab.runDirectory}/${this.name}.${i},mac=${nic.mac},mtu=${nic.mtu},depth=256`,
    );
    // A PID namespace of its own: guest processes are host processes traced by the guest kernel, and if that is
    // killed one of them may run on, natively. A mount namespace of its own, in which only the run directory is
    // writable: root in a guest can mount the host's files, and must not change them.
    const jail = ['unshare', '--mount', '--pid', '--fork', '--kill-child', '--'];
    const readOnly = 'd=$1; shift; mount --bind "$d" "$d"; mount -o remount,bind,ro /; exec "$@"';
    // A guest is one processor made of processes that hand over to each other at every system call: on one processor of the
    // host that is a third faster than across two.
    const pinned = ['taskset', '--cpu-list', String(lab.processor)];
    return [
      ...pinned,
      ...['setpriv', '--pdeathsig', 'KILL', '--', ...jail, 'sh', '-ec', readOnly, 'sh', lab.runDirectory],
      ...[lab.kernel, `mem=${this.spec.memory}`, 'seccomp=auto', `umid=${this.name}`, `uml_dir=${lab.uml}/`],
      ...['root=/dev/root', 'rootfstype=hostfs', 'rootflags=/', 'ro', `init=${here}/labinit`],
      ...['con=null', 'con0=null,fd:1', 'ssl=null', 'ssl0=fd:3', ...nics],
      ...[`lab_name=${this.name}`, `lab_share=${lab.share}`, `lab_agent=${lab.agent}`, `lab_project=${project}`],
      `lab_br_netfilter=${lab.brNetfilter ? 1 : 0}`,
      ...this.spec.without.map((init) => `initcall_blacklist=${init}`),
    ];
  }

  #configuration(): string {
    const lines = this.spec.nics.flatMap((nic, i) => [
      `ip link set vec${i} name eth${i}`,
      `ip link set eth${i} up`,
      ...nic.addresses.map((address) => `ip addr add ${address} dev eth${i}${address.includes(':') ? ' nodad' : ''}`),
    ]);
    lines.push(...this.spec.routes.map((route) => `ip route add ${route}`));
    if (this.spec.forward) lines.push('sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1');
    return lines.join('\n');
  }

  #gone(): void {
    this.#up = false;
    this.#process = undefined;
    for (const id of [...this.#jobs.keys()]) this.#finish(id, undefined);
  }

  #finish(id: number, status: number | undefined): void {
    const job = this.#jobs.get(id);
    this.#jobs.delete(id);
    job?.finish(status);
  }

  /** Starts a command and returns at once. */
  spawn(command: Command, options: RunOptions = {}): Job {
    if (!this.#up || !this.#line) throw new LabError(`guest ${this.name} is down`);
    while (this.#jobs.has(this.#nextJob)) this.#nextJob = (this.#nextJob % 65535) + 1;
    const id = this.#nextJob;
    this.#nextJob = (id % 65535) + 1;
    const job = new Job(this.#line, id, argvOf(command), { ...environment, ...options.env }, options);
    this.#jobs.set(id, job);
    return job;
  }

  /** Runs a command to its end, whatever that is. */
  async run(command: Command, options: RunOptions = {}): Promise<Result> {
    const job = this.spawn(command, options);
    if (options.input !== undefined) job.write(options.input);
    job.end();
    return job.done;
  }

  /** Runs a command that must exit 0; returns its standard output. */
  async ok(command: Command, options: RunOptions = {}): Promise<string> {
    const result = await this.run(command, options);
    if (result.code === 0) return result.stdout;
    const words = typeof command === 'string' ? command : command.join(' ');
    throw new LabError(`${this.name}: ${words}: ${result}\n${result.stderr}${result.stdout.slice(-2000)}`);
  }

  /** Runs a command that prints one JSON document. The caller says what it expects; tests compare it anyway. */
  async json<T>(command: Command, options: RunOptions = {}): Promise<T> {
    const text = await this.ok(command, options);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new LabError(`${this.name}: ${argvOf(command).join(' ')}: not JSON: ${text.slice(0, 500)}`, {
        cause: error,
      });
    }
  }

  /** Writes a file in the guest, making its directories. Goes through /lab: the serial line takes a second per megabyte. */
  async write(file: string, text: string | Uint8Array, mode = '644'): Promise<void> {
    const parcel = `${this.name}.file${this.#nextFile++}`;
    writeFileSync(join(this.#lab.share, parcel), text);
    try {
      await this.ok(['install', '-D', '-m', mode, `/lab/${parcel}`, file]);
    } finally {
      rmSync(join(this.#lab.share, parcel), { force: true });
    }
  }

  async read(file: string): Promise<string> {
    return this.ok(['cat', file]);
  }

  /** Crash: as if somebody pulled the power cord. */
  async kill(): Promise<void> {
    this.#process?.kill('SIGKILL');
    await this.#exited;
  }

  /** Power off; killed when it does not obey. */
  async stop(grace = 5000): Promise<void> {
    if (this.#up) this.#line?.send('Q', 0);
    const timer = setTimeout(() => this.#process?.kill('SIGKILL'), this.#process ? grace : 0);
    await this.#exited;
    clearTimeout(timer);
  }
}
